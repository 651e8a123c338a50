"""The values that flow through the pipeline, from what came in to what goes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from worker.domain.commands import Command


class Delivery(Protocol):
    """One message as the broker handed it over. Only its transport looks inside; here it is carried along
    until it is settled.
    """

    @property
    def tag(self) -> int:
        """The delivery's number in its epoch, ascending from 1."""

    @property
    def redelivered(self) -> bool:
        """Whether the broker may have handed it over before."""

    @property
    def delivery_count(self) -> int:
        """How often the broker handed it over before, as far as it says; 0 unless `redelivered`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKey:
    """What makes a message the same one when it comes again: unique per sender ('' is all senders without a
    name).
    """

    sender: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The idempotency of one command: its key, and what it said (SHA-256 of its type and body, 32 bytes)."""

    key: MessageKey
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTo:
    """Where a reply goes, and what the asker knows it by."""

    address: str
    correlation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply's content in its final form, as it is stored and sent, each time byte for byte the same.

    `problem` is the problem's code where it is one, else None.
    """

    type: str
    content_type: str
    body: bytes
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A well-formed command, to be carried out. Without `identity` it is carried out at least once.

    `only_for` is the only device this sender may act for or see by id; None: any.
    """

    delivery: Delivery
    command: Command
    identity: Identity | None
    reply_to: ReplyTo | None
    only_for: str | None = None

    @property
    def key(self) -> MessageKey | None:
        """What makes a repeat of it a repeat, if it can have one."""
        return self.identity.key if self.identity else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that is answered without asking the database, or kept as a dead letter where nobody asked.

    `keep` says which of the two holds when there is no `reply_to`: keep as a dead letter, or only count it.
    """

    delivery: Delivery
    answer: Answer
    detail: str
    key: MessageKey | None
    reply_to: ReplyTo | None
    keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A message that can be neither carried out nor answered: a dead letter."""

    delivery: Delivery
    reason: str
    detail: str


Incoming = Received | Refused | Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """A fact in its final form, as it stands in the history and goes out, each time byte for byte the same."""

    id: UUID
    device_id: str
    sequence: int
    type: str
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer on its way to one asker. `message_id` is the same each time the same answer goes out;
    `delivery` is what it answers.
    """

    delivery: Delivery
    to: ReplyTo
    message_id: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery on its way to the dead letters, and why."""

    delivery: Delivery
    reason: str
    detail: str


Outgoing = StoredEvent | Reply | DeadLetter


class Confirmation(Enum):
    """How a publish ended. UNKNOWN is neither success nor failure: the message may have arrived. REFUSED is what
    the broker may take another time; GIVEN_UP is refused too, for its address is dead, or its queue answers
    nothing. HELD_UP is an event that stood behind such a one: it has its turn another time.
    """

    CONFIRMED = auto()
    REFUSED = auto()
    GIVEN_UP = auto()
    UNKNOWN = auto()
    HELD_UP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What was answered to a command with an identity: makes a repeat harmless."""

    identity: Identity
    answer: Answer
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a saved batch still has to say, and the deliveries to settle once it is said.

    `letters` are those deliveries that end as dead letters: they are settled only when the letter is kept.
    """

    events: Sequence[StoredEvent] = ()
    replies: Sequence[Reply] = ()
    letters: Sequence[DeadLetter] = ()
    deliveries: Sequence[Delivery] = ()
