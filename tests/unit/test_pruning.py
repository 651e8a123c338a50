"""Forgetting what nobody can ask for any more."""

from datetime import timedelta

from tests.support.failing_store import FailingStore
from tests.support.making import create, received, stop
from tests.support.worker_in_memory import AGES_LATER, WorkerInMemory, outbox
from worker.service.housekeeping import Housekeeping
from worker.service.messages import Said
from worker.service.ports import StoreUnavailable, Transaction
from worker.service.pruning import STEP_PAUSES, Pruner, Retention
from worker.service.relay import Relay


class Stopwatch:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def __call__(self) -> float:
        return self.elapsed_s


class Pruning:
    """A pruner ages after everything was said and done."""

    def __init__(self, store: FailingStore, *, limit: int = 2, events_s: float | None = None) -> None:
        self.worker = WorkerInMemory(store=store)
        self.stopwatch = Stopwatch()
        self.batches = self.worker.batches()
        self.persistence = self.worker.persistence()
        self.pruner = Pruner(
            persistence=self.persistence,
            retention=Retention(handled_s=3_600, events_s=events_s, interval_s=600, limit=limit),
            clock=lambda: AGES_LATER,
            elapsed_s=self.stopwatch,
        )

    async def carry_out(self, count: int) -> Said:
        return await self.batches.carry_out(
            [received(create(f"cam-{number}"), message_id=f"m-{number}") for number in range(count)]
        )

    async def forgotten(self, count: int) -> list[int]:
        """Return which of the message ids are not known any more: then a command is carried out anew."""
        return [
            number
            for number in range(count)
            if b'"created"'
            not in (await self.batches.carry_out([received(create(f"cam-{number}"), message_id=f"m-{number}")]))
            .replies[0]
            .answer.body
        ]


async def test_an_epoch_forgets_nothing_in_its_first_interval(store: FailingStore) -> None:
    pruning = Pruning(store)

    assert not pruning.pruner.due
    pruning.stopwatch.elapsed_s = 599
    assert not pruning.pruner.due
    pruning.stopwatch.elapsed_s = 600
    assert pruning.pruner.due


async def test_after_an_outage_it_waits_for_what_comes_again_first(store: FailingStore) -> None:
    pruning = Pruning(store)
    pruning.stopwatch.elapsed_s = 700

    store.fail_next(StoreUnavailable("away"))
    await pruning.persistence.persist(nothing)

    assert not pruning.pruner.due
    pruning.stopwatch.elapsed_s = 1_299
    assert not pruning.pruner.due
    pruning.stopwatch.elapsed_s = 1_300
    assert pruning.pruner.due


async def nothing(_transaction: Transaction) -> None:
    """A look at a database."""


async def test_it_goes_in_small_steps_until_nothing_is_left_and_then_rests(store: FailingStore) -> None:
    pruning = Pruning(store, limit=2)
    await pruning.carry_out(5)
    pruning.stopwatch.elapsed_s = 600
    steps = 0

    async def take_a_second() -> None:
        pruning.stopwatch.elapsed_s += 1

    store.meanwhile = take_a_second
    while pruning.pruner.due:
        await pruning.pruner.step()
        steps += 1
        pruning.stopwatch.elapsed_s += STEP_PAUSES - 0.001
        assert not pruning.pruner.due
        pruning.stopwatch.elapsed_s += 0.002

    assert steps == 3
    assert await pruning.forgotten(5) == [0, 1, 2, 3, 4]
    pruning.stopwatch.elapsed_s += 600
    assert pruning.pruner.due


async def test_what_is_young_enough_to_come_again_stays(store: FailingStore) -> None:
    pruning = Pruning(store, limit=100)
    pruner = Pruner(
        persistence=pruning.worker.persistence(),
        retention=Retention(handled_s=timedelta(days=366).total_seconds(), events_s=None, limit=100),
        clock=lambda: AGES_LATER,
    )
    await pruning.carry_out(3)

    await pruner.step()

    assert await pruning.forgotten(3) == []


async def test_an_event_that_is_not_published_is_never_forgotten(store: FailingStore) -> None:
    pruning = Pruning(store, limit=100, events_s=60)
    said = await pruning.carry_out(2)
    pruning.worker.outstanding.confirm(said.events[0])
    await pruning.worker.outbox().mark()

    await pruning.pruner.step()

    assert await outbox(store) == [said.events[1]]
    assert (await pruning.batches.carry_out([received(stop("cam-1"))])).events[-1].sequence == 2


async def test_it_is_done_between_batches_when_it_is_time(store: FailingStore) -> None:
    pruning = Pruning(store, limit=100)
    await pruning.carry_out(2)
    outbox_of_it = pruning.worker.outbox()
    relay = Relay(outbox=outbox_of_it, policy=pruning.worker.policy, clock=pruning.worker.clock)
    housekeeping = Housekeeping(outbox=outbox_of_it, relay=relay, pruner=pruning.pruner)

    await housekeeping.do_what_is_due()
    assert await pruning.forgotten(2) == []
    pruning.stopwatch.elapsed_s = 600
    await housekeeping.do_what_is_due()

    assert await pruning.forgotten(2) == [0, 1]
