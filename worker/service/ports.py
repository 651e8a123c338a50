"""What the pipeline needs of the world: a few methods each, with a written promise.

The error tree of the service stands here too; adapters translate their libraries' errors into it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, Protocol, TypeVar
from uuid import UUID

from worker.domain.events import StreamEvent
from worker.domain.outcomes import Outcome
from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import (
    Answer,
    Confirmation,
    DeadLetter,
    Delivery,
    Handled,
    Incoming,
    MessageKey,
    Outgoing,
    StoredEvent,
)

T = TypeVar("T")


class ServiceError(Exception):
    """The root of what an adapter may raise at the service."""


class StoreUnavailable(ServiceError):
    """The database is away, locked, full, read-only or too slow. Nothing was saved. Trying later can help."""


class StoreConflict(ServiceError):
    """Another worker was faster (unique violation, deadlock, serialization). Nothing was saved. Begin again."""


class CommitUnknown(ServiceError):
    """The answer to COMMIT was lost: everything was saved or nothing was. Begin again and look."""


class EpochOver(ServiceError):
    """The broker's connection, or the certainty about it, is gone. Forget what is in hand and begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a batch needs to see. Devices in `devices` are locked if they exist, those in `creating` made and
    locked, and so are the devices of the streams named by id and by code.
    """

    devices: frozenset[str] = frozenset()
    creating: frozenset[str] = frozenset()
    stream_ids: frozenset[UUID] = frozenset()
    codes: frozenset[str] = frozenset()
    keys: frozenset[MessageKey] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a batch sees: its locked devices, the streams it named and each device's latest, what was answered
    to its message ids, and these devices' events that are not known to be published, in order.
    """

    devices: Sequence[Device] = ()
    streams: Sequence[Stream] = ()
    handled: Mapping[MessageKey, Handled] = field(default_factory=dict)
    unpublished: Sequence[StoredEvent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a batch leaves behind. `published` marks events of earlier batches, by id, as published at `at`."""

    at: datetime
    devices: Sequence[Device] = ()
    updated_streams: Sequence[Stream] = ()
    new_streams: Sequence[Stream] = ()
    events: Sequence[StoredEvent] = ()
    handled: Sequence[Handled] = ()
    published: Sequence[UUID] = ()


class Transaction(Protocol):
    """One transaction on the database; valid only inside `Store.transact`. Not safe across tasks."""

    async def load(self, wanted: Wanted) -> Loaded:
        """Lock the devices that are meant, in sorted order, then read. Call it once a transaction."""

    async def save(self, changes: Changes) -> None:
        """Write each kind of change in one bulk statement."""

    async def unpublished(self, *, before: datetime, limit: int, after: str = "") -> Sequence[StoredEvent]:
        """Return events never confirmed of the devices that have one from before that time and whose id is
        greater than `after`, by device (in the order of code points) and sequence, each device's from its lowest.
        """


class Store(Protocol):
    """The database behind the pipeline. One transaction at a time: it belongs to one task."""

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work in one transaction and commit it; roll back where the work raises.

        Cancelling the caller does not cut the transaction short: it ends first, either way.
        Raises StoreUnavailable, StoreConflict or CommitUnknown; whatever else the work raises passes through.
        """


class Inbox(Protocol):
    """The deliveries of one epoch."""

    async def start(self) -> None:
        """Begin to take from the broker, one delivery at a time; nothing arrives before. Call it once.

        Does nothing once the inbox is closed. Raises EpochOver.
        """

    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        """Wait for a delivery, then return what is there in delivery order, `limit` at most; wait for no more.

        Returns an empty list where `within_s` seconds have passed without one.
        Raises InboxClosed once it was closed and is empty, EpochOver where the connection or the consumer is gone.
        """

    async def watch(self) -> NoReturn:
        """Wait until the connection or the consumer is gone, then raise EpochOver."""

    async def close(self) -> None:
        """Stop taking from the broker. What is in hand already can still be taken. Idempotent, never raises."""

    async def widen(self) -> None:
        """Allow as many deliveries in hand as the settings say; before, it is one. Idempotent.

        Raises EpochOver.
        """


class InboxClosed(ServiceError):
    """The inbox was closed, and everything in it was taken."""


class Publisher(Protocol):
    """The way out. Safe to call again only after the last call returned: order is kept between calls."""

    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[Confirmation]:
        """Send all, wait for every confirm within a deadline, and report each, in the same order. Never raises
        for what the broker does: what was neither confirmed nor refused is UNKNOWN.
        """


class Settlement(Protocol):
    """The only place that settles deliveries. Each delivery is settled once."""

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are done. It may forget them.

        An acknowledgement that is lost is no harm: the repeat finds the stored outcome. Raises EpochOver.
        """

    async def give_to_broker(self, letters: Sequence[DeadLetter]) -> None:
        """Reject deliveries whose dead letter was refused: the broker dead-letters them by its own means and
        keeps them until it can. Raises EpochOver.
        """


class Renderer(Protocol):
    """Final bytes. Pure."""

    def answer(self, outcome: Outcome) -> Answer:
        """Return the reply that says what came of a command."""

    def event(self, event: StreamEvent, *, causation_id: str | None) -> StoredEvent:
        """Return the event as it goes out; `causation_id` is the command's message id, if it had one."""

    def reply_id(self, key: MessageKey | None, answer: Answer) -> str:
        """Return the reply's message id: for a command with a key the same each time it is answered the same."""
