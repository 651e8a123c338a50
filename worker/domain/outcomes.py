"""What came of a command."""

from dataclasses import dataclass
from enum import StrEnum

from worker.domain.events import StreamEvent
from worker.domain.refusals import Refusal
from worker.domain.stream import Stream


class Result(StrEnum):
    """What a command that was carried out did: the `outcome` of a reply."""

    CREATED = "created"
    REUSED = "reused"
    STOPPED = "stopped"
    ALREADY_STOPPED = "already_stopped"
    FOUND = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Carried out: the stream as it is now, and the fact this made, if it changed anything."""

    result: Result
    stream: Stream
    event: StreamEvent | None = None


Outcome = Done | Refusal
