"""Transactions that are tried until one commits, and what is done meanwhile."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from worker.service.backoff import pauses
from worker.service.ports import (
    Attempt,
    CommitUnknown,
    EpochOver,
    Inbox,
    Store,
    StoreConflict,
    StoreUnavailable,
    Transaction,
)

T = TypeVar("T")
Work = Callable[[Transaction], Awaitable[T]]
_Run = Callable[[int], Awaitable[T]]  # given how many conflicts there were

log = logging.getLogger(__name__)

CONFLICTS_AT_ONCE_MAX: Final = 5  # as many times is beginning again at once; then somebody should get a pause
CONFLICTS_MAX: Final = 12  # nobody is faster so often: something in the work itself cannot be saved

_AWAY: Final = (StoreUnavailable, CommitUnknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How to wait for a database that is away: growing pauses between these two, for ever; but what is in hand is
    held for `hold_s` only, because another worker may reach the database, or this one after a while.
    """

    first_s: float = 0.1
    longest_s: float = 5.0
    hold_s: float = 15.0


class Allowance:
    """What an outage may cost: one delivery count, until a batch is saved again. It outlives the epochs.

    A database that can be looked into and takes no batch, as where somebody holds a lock, would else be given the
    same messages back in every epoch, until the broker drops them.
    """

    def __init__(self) -> None:
        self._is_left = True

    def spend(self) -> bool:
        """Whether what is in hand may go back to the queue; then not again."""
        was_left, self._is_left = self._is_left, False
        return was_left

    def renew(self) -> None:
        """A batch was saved: the outage is over."""
        self._is_left = True


class Persistence:
    """Runs transactions, one at a time. Belongs to one task of one epoch.

    `outages` counts how often the database was away.
    """

    def __init__(self, *, store: Store, inbox: Inbox, patience: Patience, allowance: Allowance) -> None:
        self._store = store
        self._inbox = inbox
        self._patience = patience
        self._allowance = allowance
        self.outages = 0

    async def persist(self, work: Work[T], *, conflicts_max: int = CONFLICTS_MAX) -> T:
        """Run the work in a transaction until one commits. While the database is away nothing is taken in.

        After a commit whose answer was lost, the work runs again like any other: its first step finds the stored
        outcomes, and a command that is stored is answered from there.

        Raises EpochOver where the database stayed away so long that what is in hand should go back to the queue.
        Raises InboxClosed where it is away and nothing was taken nor will be.
        Raises StoreConflict where beginning again so often did not help. What the work raises passes through.
        """
        return await self._persist(lambda _: self._store.transact(work), conflicts_max)

    async def persist_one(
        self, work: Callable[[Attempt], Awaitable[T]], *, conflicts_max: int = CONFLICTS_MAX
    ) -> T:
        """Do the same for what one command does: without locks at first, which is faster, and with them once
        another worker was faster than that.
        """
        return await self._persist(
            lambda conflicts: self._store.transact(work) if conflicts else self._store.attempt(work), conflicts_max
        )

    def has_saved_a_batch(self) -> None:
        """Note that it is not only looking that works: then the next outage may give back what is in hand."""
        self._allowance.renew()

    async def once(self, work: Work[T]) -> T:
        """Run the work in one transaction, without any patience. Raises what `Store.transact` does."""
        return await self._store.transact(work)

    async def _persist(self, run: _Run[T], conflicts_max: int) -> T:
        try:
            return await self._unless_away(run, conflicts_max)
        except _AWAY as away:
            reason = str(away)
        return await self._outlast(run, reason, conflicts_max)

    async def _outlast(self, run: _Run[T], reason: str, conflicts_max: int) -> T:
        self.outages += 1
        waits = self._pauses()
        give_up_at_s = asyncio.get_running_loop().time() + self._patience.hold_s
        while True:
            log.warning("database.unavailable", extra={"reason": reason})
            has_started = await self._inbox.pause()
            is_enough = asyncio.get_running_loop().time() >= give_up_at_s
            if has_started and is_enough and self._allowance.spend():
                raise EpochOver("the database is away: what is in hand goes back to the queue")
            await asyncio.sleep(next(waits))
            try:
                result = await self._unless_away(run, conflicts_max)
            except _AWAY as away:
                reason = str(away)
                continue
            except Exception:  # whatever it is: the database has answered
                await self._inbox.resume()
                raise
            log.info("database.back")
            await self._inbox.resume()
            return result

    async def _unless_away(self, run: _Run[T], conflicts_max: int) -> T:
        """Begin again where another worker was faster."""
        waits = self._pauses()
        conflicts = 0
        while True:
            try:
                return await run(conflicts)
            except StoreConflict as conflict:
                conflicts += 1
                if conflicts > conflicts_max:
                    raise
                said = {"reason": str(conflict), "conflicts": conflicts}
                if conflicts <= CONFLICTS_AT_ONCE_MAX:
                    log.info("batch.conflict", extra=said)
                else:
                    log.warning("batch.conflicts_go_on", extra=said)
                    await asyncio.sleep(next(waits))

    def _pauses(self) -> Iterator[float]:
        return pauses(first_s=self._patience.first_s, longest_s=self._patience.longest_s)
