"""A worker's service, wired as the composition root does, over a fake broker and any store."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.fake_broker import FakeBroker, FakeSession
from tests.support.making import BEGAN, SteadyMint
from worker.amqp.codec.render import WireRenderer
from worker.service.batch import Batches, Patience
from worker.service.messages import StoredEvent
from worker.service.outstanding import Outstanding
from worker.service.ports import EpochOver, Store, Transaction
from worker.service.process import Flow, Pipeline
from worker.service.relay import Relay, RelayPolicy
from worker.service.say import Speaker

EPOCHS_MAX = 100
DEADLINE_S = 10
AGES_LATER = BEGAN + timedelta(days=365)


@dataclass(slots=True, kw_only=True)
class WorkerInMemory:
    """Builds epochs from nothing, one after another, and runs them."""

    store: Store
    broker: FakeBroker = field(default_factory=FakeBroker)
    mint: SteadyMint = field(default_factory=SteadyMint)
    clock: Callable[[], datetime] = lambda: AGES_LATER
    policy: RelayPolicy = field(default_factory=RelayPolicy)
    flow: Flow = field(default_factory=lambda: Flow(idle_s=0.005))
    event_retries: int = 1
    patience_s: float = 0.0001
    outstanding: Outstanding = field(default_factory=Outstanding)  # of the latest epoch

    def batches(self) -> Batches:
        """Make the first half of an epoch."""
        self.outstanding = Outstanding()
        return Batches(
            store=self.store,
            renderer=WireRenderer(),
            mint=self.mint,
            outstanding=self.outstanding,
            patience=Patience(first_s=self.patience_s, longest_s=10 * self.patience_s),
        )

    def pipeline(self, session: FakeSession) -> Pipeline:
        batches = self.batches()
        return Pipeline(
            inbox=session,
            batches=batches,
            relay=Relay(batches=batches, policy=self.policy, clock=self.clock),
            speaker=Speaker(
                publisher=session,
                outstanding=self.outstanding,
                event_retries=self.event_retries,
                retry_pause_s=0.0001,
            ),
            settlement=session,
            flow=self.flow,
        )

    async def run_epoch(self, stopping: asyncio.Event) -> None:
        """Run one epoch. Raises what the pipeline raises."""
        session = self.broker.open()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self.pipeline(session).run(stopping)
        finally:
            session.end()

    async def work_off(self) -> int:
        """Run epochs until everything that was sent is settled; return how many it took."""
        return await self.work_until(lambda: self.broker.is_settled)

    async def work_until(self, holds: Callable[[], bool]) -> int:
        """Run epochs until something holds, and stop; return how many it took."""
        for number in range(1, EPOCHS_MAX):
            stopping = asyncio.Event()
            stopper = asyncio.create_task(self._stop_when(holds, stopping))
            try:
                await self.run_epoch(stopping)
            except EpochOver:
                continue
            finally:
                stopper.cancel()
            return number
        raise AssertionError(f"not done after {EPOCHS_MAX} epochs")

    async def _stop_when(self, holds: Callable[[], bool], stopping: asyncio.Event) -> None:
        await self.broker.until(holds, within_s=DEADLINE_S)
        stopping.set()


async def outbox(store: Store) -> list[StoredEvent]:
    """Return the events that are not marked as published."""

    async def look(transaction: Transaction) -> list[StoredEvent]:
        return list(await transaction.unpublished(before=AGES_LATER, limit=10_000))

    return await store.transact(look)
