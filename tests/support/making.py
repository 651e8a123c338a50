"""Commands and messages for the tests of the core, without any transport."""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from worker.domain.code import code_from_bits
from worker.domain.commands import ByCode, ByDevice, ById, Command, CreateStream, GetStream, Selector, StopStream
from worker.domain.stream import Stream
from worker.service.handlers import Mint
from worker.service.messages import (
    Answer,
    DeadLetter,
    Identity,
    MessageKey,
    Received,
    Refused,
    Reply,
    ReplyTo,
    StoredEvent,
    Unreadable,
)

BEGAN = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A delivery that is nothing but its number, and how often it came before."""

    tag: int
    delivery_count: int = 0

    @property
    def redelivered(self) -> bool:
        return self.delivery_count > 0


@dataclass(slots=True, kw_only=True)
class SteadyMint:
    """Ids and codes in counting order, and a clock that moves a second with every mint."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    ticks: Iterator[int] = field(default_factory=itertools.count)
    new_code: Callable[[], str] | None = None

    def __call__(self) -> Mint:
        return Mint(
            now=BEGAN + timedelta(seconds=next(self.ticks)),
            new_id=lambda: UUID(int=next(self.numbers)),
            new_code=self.new_code or (lambda: code_from_bits(next(self.numbers))),
        )


_tags = itertools.count(1)


def received(
    command: Command,
    *,
    message_id: str | None = None,
    sender: str = "",
    reply_to: str | None = "amq.gen-asker",
    said: bytes | None = None,
    tag: int | None = None,
    only_for: str | None = None,
) -> Received:
    """Return a command as it comes out of the codec. `said` stands for its bytes: other bytes, other digest."""
    digest = hashlib.sha256(said if said is not None else repr(command).encode()).digest()
    return Received(
        delivery=Tag(tag=tag or next(_tags)),
        command=command,
        identity=Identity(key=MessageKey(sender=sender, message_id=message_id), digest=digest)
        if message_id
        else None,
        reply_to=ReplyTo(address=reply_to, correlation_id=message_id) if reply_to else None,
        only_for=only_for,
    )


def create(device_id: str = "cam-1") -> CreateStream:
    return CreateStream(device_id=device_id)


def stop(meant: str | UUID | Selector = "cam-1") -> StopStream:
    """Return a command for a device by its id, for a stream by its id, or for what a selector means."""
    return StopStream(selector=_selector(meant))


def get(meant: str | UUID | Selector = "cam-1") -> GetStream:
    return GetStream(selector=_selector(meant))


def by_code(code: str) -> ByCode:
    return ByCode(code=code)


def _selector(meant: str | UUID | Selector) -> Selector:
    match meant:
        case str():
            return ByDevice(device_id=meant)
        case UUID():
            return ById(stream_id=meant)
        case _:
            return meant


def a_stream(device_id: str = "cam-1", *, number: int = 1) -> Stream:
    """Return a new, active stream; its number makes its id and its code."""
    return Stream.start(id=UUID(int=number), device_id=device_id, code=code_from_bits(number), at=BEGAN)


def an_answer(*, problem: str | None = None) -> Answer:
    return Answer(type="stream.reply", content_type="application/json", body=b"{}", problem=problem)


def refused(*, reply_to: str | None = None, keep: bool = True, problem: str = "malformed") -> Refused:
    """Return a message that the codec refused."""
    return Refused(
        delivery=Tag(tag=next(_tags)),
        answer=an_answer(problem=problem),
        detail="it is not JSON",
        key=MessageKey(sender="", message_id="m-refused"),
        reply_to=ReplyTo(address=reply_to, correlation_id=None) if reply_to else None,
        keep=keep,
    )


def unreadable() -> Unreadable:
    return Unreadable(delivery=Tag(tag=next(_tags)), reason="undecodable", detail="headers")


def an_event(device_id: str, sequence: int, *, at: datetime = BEGAN) -> StoredEvent:
    id_ = uuid5(UUID(int=0), f"{device_id}:{sequence}")
    return StoredEvent(id=id_, device_id=device_id, sequence=sequence, type="stream.created", at=at, body=b"{}")


def a_reply(name: str, *, tag: int = 1) -> Reply:
    return Reply(
        delivery=Tag(tag=tag),
        to=ReplyTo(address=f"amq.gen-{name}", correlation_id=None),
        message_id=name,
        answer=an_answer(),
    )


def a_letter(tag: int) -> DeadLetter:
    return DeadLetter(delivery=Tag(tag=tag), reason="undecodable", detail="headers")


def told(answer: Answer) -> str:
    """Return what an answer says in a word: its outcome, or the code of its problem."""
    content = content_of(answer)
    return str(content["code"] if answer.problem else content["outcome"])


def content_of(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.body)
    return content
