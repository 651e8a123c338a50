"""What happened in a trial as those outside of the worker know it. It judges nothing.

Times are seconds of one monotonic clock. Bodies are the bytes as they were on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Key = tuple[str, str]
"""What makes a command the same command: its sender and its message id."""


class Fate(StrEnum):
    """How a publish ended, as its sender knows it."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command that was sent, under a correlation id that nothing else in the trial has.

    It was published until it was confirmed, so it may have arrived more than once; `at_s` is the first try. A
    repeat is another request with the same key. `is_poison`: no worker can carry it out; no other has its body.
    """

    correlation_id: str
    asker: str
    sender: str
    message_id: str | None
    kind: str
    body: bytes
    reply_to: str | None
    at_s: float
    fate: Fate = Fate.UNKNOWN
    is_poison: bool = False

    @property
    def key(self) -> Key | None:
        """Its key, if it has one: without, every arrival is a command of its own."""
        return (self.sender, self.message_id) if self.message_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply as it arrived at an asker."""

    heard_by: str
    correlation_id: str | None
    message_id: str | None
    type: str
    content_type: str
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as it arrived at the subscriber."""

    message_id: str | None
    type: str
    routing_key: str
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter. `reason` is the worker's, or the broker's own."""

    correlation_id: str | None
    message_id: str | None
    reason: str
    body: bytes
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All of a trial: answers, events and letters in the order in which they were heard.

    `gone` are the reply addresses whose queue was taken away on purpose: nobody can be answered there. `unheard`
    are the devices for whose events no queue was bound on purpose: whether they are heard is left to chance.
    """

    requests: tuple[Request, ...] = ()
    answers: tuple[Answer, ...] = ()
    events: tuple[Event, ...] = ()
    letters: tuple[Letter, ...] = ()
    gone: frozenset[str] = frozenset()
    unheard: frozenset[str] = frozenset()

    @property
    def by_correlation_id(self) -> Mapping[str, Request]:
        """Every request under its correlation id."""
        return {request.correlation_id: request for request in self.requests}
