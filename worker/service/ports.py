"""What the pipeline needs of the world: a few methods each, with a written promise.

The error tree of the service stands here too; adapters translate their libraries' errors into it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import NoReturn, Protocol, TypeVar

from worker.domain.events import StreamEvent
from worker.domain.outcomes import Outcome
from worker.service.messages import (
    Answer,
    Confirmation,
    DeadLetter,
    Delivery,
    Incoming,
    MessageKey,
    Outgoing,
    StoredEvent,
)
from worker.service.stored import Changes, Claim, Horizon, Loaded, Parking, Wanted

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


class Attempt(Protocol):
    """A way to load and to save once; valid only inside `Store.attempt`. Not safe across tasks."""

    async def load(self, wanted: Wanted) -> Loaded:
        """Read what is wanted. Call it once."""

    async def save(self, changes: Changes) -> None:
        """Write everything that changed. Call it once, after what it changes was loaded."""


class Transaction(Attempt, Protocol):
    """One transaction on the database; valid only inside `Store.transact`. Not safe across tasks.

    `load` locks the devices that are meant, in sorted order, before it reads; call it once a transaction.
    """

    async def claim(self, claim: Claim) -> Sequence[StoredEvent]:
        """Take devices over and return their events that were never confirmed, `limit` at most, by device (in the
        order of code points) and sequence, each device's from its lowest. Waits for nobody: a device that somebody
        works on just now is passed over. Call it last in a transaction.
        """

    async def refused(self, refused: Mapping[str, int], parking: Parking) -> Sequence[str]:
        """Note for each device the sequence of the event that the broker refused in one round of tries, and return
        the devices that are parked by that. Another event than the last time begins a new count. It locks the
        devices: call it before `save`, or it may meet a batch of another worker that locks in the other direction.
        """

    async def prune(self, horizon: Horizon) -> int:
        """Forget a little of what may be forgotten, the oldest first; return how much went. Waits for nobody."""

    async def sign_in(self, worker: str, at: datetime) -> None:
        """Write a row of our own: it shows that the database takes writes, and who is at work."""


class Store(Protocol):
    """The database behind the pipeline. One transaction at a time: it belongs to one task."""

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work in one transaction and commit it; roll back where the work raises.

        Cancelling the caller does not cut the transaction short: it ends first, either way.
        Raises StoreUnavailable, StoreConflict or CommitUnknown; whatever else the work raises passes through.
        """

    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        """Run work that loads what one command wants, and then saves what came of it. Faster than `transact` where
        it can be, for nothing is locked in between.

        Where a device that the work changes has been changed by another worker since it was loaded, nothing is
        saved and StoreConflict raised: then do it with `transact`, which makes the other wait. Everything else is
        as with `transact`, and each `load` and each `save` is one view and one change.
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

    async def widen(self) -> bool:
        """Allow as many deliveries in hand as the settings say; before, it is one. Return whether it is so now.
        Idempotent.

        Call it before that one is acknowledged: while it is in hand no other is on its way, and none has to turn
        back, which would cost it a delivery count. Raises EpochOver.
        """

    async def pause(self) -> bool:
        """Stop taking from the broker; what is in hand stays in hand. Return whether it had been started.

        Idempotent. Raises EpochOver, and InboxClosed where it was closed before it was started: nothing will come.
        """

    async def resume(self) -> None:
        """Take again after a pause, one delivery at a time until `widen`.

        Does nothing if it is not paused, or closed. Raises EpochOver.
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

    def failure(self) -> Answer:
        """Return the reply to a command that failed again and again on its own."""

    def event(self, event: StreamEvent, *, causation_id: str | None) -> StoredEvent:
        """Return the event as it goes out; `causation_id` is the command's message id, if it had one."""

    def reply_id(self, key: MessageKey | None, answer: Answer) -> str:
        """Return the reply's message id: for a command with a key the same each time it is answered the same."""
