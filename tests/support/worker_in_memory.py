"""A worker's service, wired as the composition root does, over a fake broker and any store."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.support.fake_broker import FakeBroker, FakeSession
from tests.support.making import BEGAN, SteadyMint
from worker.amqp.codec.render import WireRenderer
from worker.service.batch import Batches
from worker.service.caution import Caution
from worker.service.housekeeping import Housekeeping
from worker.service.isolating import Isolating, Trial
from worker.service.messages import StoredEvent
from worker.service.outbox import Outbox, ParkingPolicy
from worker.service.outstanding import Outstanding
from worker.service.persisting import Allowance, Patience, Persistence
from worker.service.ports import EpochOver, Inbox, Store, Transaction
from worker.service.process import Flow, Pipeline
from worker.service.pruning import Pruner, Retention
from worker.service.relay import Relay, RelayPolicy
from worker.service.say import Speaker
from worker.service.stored import Claim

EPOCHS_MAX = 100
DEADLINE_S = 30
AGES_LATER = BEGAN + timedelta(days=365)


@dataclass(slots=True)
class Hurry:
    """A clock that leaps whenever somebody looks, so that the relay is always at work."""

    now: datetime = field(default=AGES_LATER)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=60)
        return self.now


@dataclass(slots=True, kw_only=True)
class WorkerInMemory:
    """Builds epochs from nothing, one after another, and runs them."""

    store: Store
    broker: FakeBroker = field(default_factory=FakeBroker)
    mint: SteadyMint = field(default_factory=SteadyMint)
    clock: Callable[[], datetime] = lambda: AGES_LATER
    policy: RelayPolicy = field(default_factory=lambda: RelayPolicy(worker="w-1"))
    parking: ParkingPolicy = field(default_factory=ParkingPolicy)
    retention: Retention = field(default_factory=lambda: Retention(handled_s=3_600))
    flow: Flow = field(default_factory=lambda: Flow(idle_s=0.005, reply_pauses_s=(0.001, 0.001)))
    event_retries: int = 1
    patience_s: float = 0.0001
    hold_s: float = 5.0
    caution: Caution = field(default_factory=Caution)
    allowance: Allowance = field(default_factory=Allowance)
    outstanding: Outstanding = field(default_factory=Outstanding)  # of the latest epoch

    def persistence(self, inbox: Inbox | None = None) -> Persistence:
        """Make what an epoch runs its transactions through."""
        return Persistence(
            store=self.store,
            inbox=inbox or self.broker.open(),
            patience=Patience(first_s=self.patience_s, longest_s=10 * self.patience_s, hold_s=self.hold_s),
            allowance=self.allowance,
        )

    def batches(self, persistence: Persistence | None = None) -> Batches:
        """Make the first half of an epoch."""
        self.outstanding = Outstanding()
        return Batches(
            persistence=persistence or self.persistence(),
            renderer=WireRenderer(),
            mint=self.mint,
            outstanding=self.outstanding,
        )

    def outbox(self, persistence: Persistence | None = None) -> Outbox:
        """Make the outbox that goes with the batches made last."""
        return Outbox(
            persistence=persistence or self.persistence(),
            outstanding=self.outstanding,
            parking=self.parking,
            clock=self.clock,
        )

    def isolating(self, persistence: Persistence | None = None) -> Isolating:
        """Make batches that put a command aside which fails on its own."""
        persistence = persistence or self.persistence()
        return Isolating(
            batches=self.batches(persistence),
            persistence=persistence,
            renderer=WireRenderer(),
            trial=Trial(tries=3, worker="w-1"),
            clock=self.clock,
        )

    def pipeline(self, session: FakeSession) -> Pipeline:
        persistence = self.persistence(session)
        isolating = self.isolating(persistence)
        outbox = self.outbox(persistence)
        return Pipeline(
            inbox=session,
            isolating=isolating,
            housekeeping=Housekeeping(
                outbox=outbox,
                relay=Relay(outbox=outbox, policy=self.policy, clock=self.clock),
                pruner=Pruner(persistence=persistence, retention=self.retention, clock=self.clock),
            ),
            speaker=Speaker(
                publisher=session,
                outstanding=self.outstanding,
                event_retries=self.event_retries,
                retry_pause_s=0.0001,
            ),
            settlement=session,
            caution=self.caution,
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
    """Return the events that are not marked as published, whoever has their devices, and take none over."""
    later = AGES_LATER + timedelta(days=3_650)
    claim = Claim(worker="onlooker", now=later, until=BEGAN, before=later, limit=10_000)

    async def look(transaction: Transaction) -> list[StoredEvent]:
        return list(await transaction.claim(claim))

    return await store.transact(look)
