"""Which bodies there are, and by which model each is read or written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from schemas import (
    CommandName,
    CreateStream,
    EventName,
    GetStream,
    Problem,
    ReplyName,
    StopStream,
    StreamCreated,
    StreamData,
    StreamReply,
    StreamStopped,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One kind of body. `is_read`: by the worker, as opposed to written by it."""

    name: str
    model: type[BaseModel]
    is_read: bool = False


BODIES: Final[Sequence[Body]] = (
    Body(name=CommandName.CREATE, model=CreateStream, is_read=True),
    Body(name=CommandName.STOP, model=StopStream, is_read=True),
    Body(name=CommandName.GET, model=GetStream, is_read=True),
    Body(name=ReplyName.REPLY, model=StreamReply),
    Body(name=ReplyName.PROBLEM, model=Problem),
    Body(name=EventName.CREATED, model=StreamCreated),
    Body(name=EventName.STOPPED, model=StreamStopped),
    Body(name="stream", model=StreamData),
)
"""By their names; the last is what an event's `dataschema` names: its `data`."""
