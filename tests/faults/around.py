"""A pipeline's ports with failpoints in them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from typing_extensions import override

from tests.faults.failpoints import Failpoint, Point
from tests.faults.passing import PassingInbox
from worker.bootstrap.pipelines import Ports
from worker.service.messages import Confirmation, DeadLetter, Delivery, Incoming, Outgoing, StoredEvent
from worker.service.ports import Attempt, Inbox, Publisher, Settlement, Store, Transaction
from worker.service.stored import Changes, Claim, Horizon, Loaded, Parking, Wanted
from worker.sql.transaction import SqlTransaction

T = TypeVar("T")

WRITTEN_AFTER_TURNS = 50  # of the event loop: by then its writer has written what was queued


class Around:
    """Puts one failpoint between every epoch's pipeline and its ports."""

    def __init__(self, failpoint: Failpoint) -> None:
        self._failpoint = failpoint
        self._epochs = 0

    def __call__(self, ports: Ports) -> Ports:
        self._epochs += 1
        claimed: set[UUID] = set()
        return replace(
            ports,
            store=_Store(ports.store, self._failpoint, claimed),
            inbox=_Inbox(ports.inbox, self._failpoint, is_first=self._epochs == 1),
            publisher=_Publisher(ports.publisher, self._failpoint, claimed),
            settlement=_Settlement(ports.settlement, self._failpoint),
        )


class _Inbox(PassingInbox):
    def __init__(self, inbox: Inbox, failpoint: Failpoint, *, is_first: bool) -> None:
        super().__init__(inbox)
        self._failpoint = failpoint
        self._is_first = is_first

    @override
    async def start(self) -> None:
        if not self._is_first:
            await self._failpoint.passes(Point.IN_RECONNECT)
        await self._inbox.start()

    @override
    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        incoming = await self._inbox.take(limit, within_s=within_s)
        if incoming:
            await self._failpoint.passes(Point.AFTER_RECEIVE)
        return incoming

    @override
    async def close(self) -> None:
        await self._inbox.close()
        await self._failpoint.passes(Point.IN_DRAIN)


class _Transaction:
    """Knows what a transaction was for: instants are counted of batches, marks and claims only."""

    def __init__(self, transaction: Any, failpoint: Failpoint, claimed: set[UUID]) -> None:
        self._transaction = transaction
        self._failpoint = failpoint
        self._claimed = claimed
        self.is_batch = False
        self.has_marked = False
        self.has_claimed = False

    async def load(self, wanted: Wanted) -> Loaded:
        self.is_batch = True
        await self._failpoint.passes(Point.AFTER_PARSE)
        loaded = await self._transaction.load(wanted)
        await self._failpoint.passes(Point.TX_BEGUN)
        return loaded

    async def save(self, changes: Changes) -> None:
        self.has_marked = self.has_marked or bool(changes.published)
        await self._transaction.save(changes)

    async def claim(self, claim: Claim) -> Sequence[StoredEvent]:
        events = await self._transaction.claim(claim)
        self.has_claimed = bool(events)
        self._claimed |= {event.id for event in events}
        return events

    async def refused(self, refused: Mapping[str, int], parking: Parking) -> Sequence[str]:
        return await self._transaction.refused(refused, parking)

    async def prune(self, horizon: Horizon) -> int:
        return await self._transaction.prune(horizon)

    async def sign_in(self, worker: str, at: datetime) -> None:
        await self._transaction.sign_in(worker, at)

    async def written(self) -> None:
        """Everything is written, and the commit comes next."""
        if self.is_batch:
            await self._failpoint.passes(Point.BEFORE_COMMIT)
            if self._failpoint.is_now(Point.IN_COMMIT):
                # It runs when the loop is free: when COMMIT has been handed to the driver.
                asyncio.get_running_loop().call_soon(self._failpoint.end)

    async def committed(self) -> None:
        if self.is_batch:
            await self._failpoint.passes(Point.AFTER_COMMIT)
        if self.has_marked:
            await self._failpoint.passes(Point.AFTER_MARK)
        if self.has_claimed:
            await self._failpoint.passes(Point.RELAY_CLAIMED)


class _Attempt:
    """The same of an attempt. Where nothing is locked, saving is committing."""

    def __init__(self, attempt: Attempt, failpoint: Failpoint, claimed: set[UUID]) -> None:
        self._commits_itself = not isinstance(attempt, SqlTransaction)
        self._transaction = _Transaction(attempt, failpoint, claimed)

    async def load(self, wanted: Wanted) -> Loaded:
        return await self._transaction.load(wanted)

    async def save(self, changes: Changes) -> None:
        if self._commits_itself:
            await self._transaction.written()
        await self._transaction.save(changes)
        if not self._commits_itself:
            await self._transaction.written()

    async def committed(self) -> None:
        await self._transaction.committed()


class _Store(Store):
    def __init__(self, store: Store, failpoint: Failpoint, claimed: set[UUID]) -> None:
        self._store = store
        self._failpoint = failpoint
        self._claimed = claimed

    @override
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        watched: list[_Transaction] = []

        async def watching(transaction: Transaction) -> T:
            watched.append(_Transaction(transaction, self._failpoint, self._claimed))
            result = await work(watched[-1])
            await watched[-1].written()
            return result

        result = await self._store.transact(watching)
        await watched[-1].committed()
        return result

    @override
    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        watched: list[_Attempt] = []

        async def watching(attempt: Attempt) -> T:
            watched.append(_Attempt(attempt, self._failpoint, self._claimed))
            return await work(watched[-1])

        result = await self._store.attempt(watching)
        await watched[-1].committed()
        return result


class _Publisher(Publisher):
    def __init__(self, publisher: Publisher, failpoint: Failpoint, claimed: set[UUID]) -> None:
        self._publisher = publisher
        self._failpoint = failpoint
        self._claimed = claimed

    @override
    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[Confirmation]:
        if len(messages) > 1 and self._failpoint.is_now(Point.AFTER_FIRST_PUBLISH):
            return await self._in_two(messages, 1)
        if len(messages) > 1 and self._failpoint.is_now(Point.AFTER_HALF_CONFIRMS):
            return await self._in_two(messages, len(messages) // 2)
        if self._failpoint.is_now(Point.BEFORE_CONFIRM):
            return await self._written(messages)
        confirmations = await self._publisher.publish(messages)
        if any(isinstance(message, StoredEvent) for message in messages):
            is_relay = all(
                isinstance(message, StoredEvent) and message.id in self._claimed for message in messages
            )
            if not is_relay:
                await self._failpoint.passes(Point.AFTER_CONFIRMS)
            elif Confirmation.CONFIRMED in confirmations:
                await self._failpoint.passes(Point.RELAY_PUBLISHED)
        return confirmations

    async def _in_two(self, messages: Sequence[Outgoing], first: int) -> Sequence[Confirmation]:
        """Have the first ones confirmed and the others written, and act."""
        confirmed = await self._publisher.publish(messages[:first])
        return [*confirmed, *await self._written(messages[first:])]

    async def _written(self, messages: Sequence[Outgoing]) -> Sequence[Confirmation]:
        publishing = asyncio.ensure_future(self._publisher.publish(messages))
        for _ in range(WRITTEN_AFTER_TURNS):
            await asyncio.sleep(0)
        self._failpoint.end()
        return await publishing


class _Settlement(Settlement):
    def __init__(self, settlement: Settlement, failpoint: Failpoint) -> None:
        self._settlement = settlement
        self._failpoint = failpoint

    @override
    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self._settlement.acknowledge(deliveries)
        if deliveries:
            await self._failpoint.passes(Point.AFTER_ACK)

    @override
    async def give_to_broker(self, letters: Sequence[DeadLetter]) -> None:
        await self._settlement.give_to_broker(letters)
