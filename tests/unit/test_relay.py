"""The relay: events that no redelivery will bring."""

import asyncio
import itertools
from datetime import datetime, timedelta

import pytest

from tests.support.failing_store import FailingStore
from tests.support.fake_broker import Fate
from tests.support.making import BEGAN, SteadyMint, create, received, stop
from tests.support.worker_in_memory import WorkerInMemory, outbox
from worker.service.messages import Outgoing, Said, StoredEvent
from worker.service.process import Flow
from worker.service.relay import Relay, RelayPolicy
from worker.service.stored import UNPUBLISHED_MAX

POLICY = RelayPolicy(worker="w-1", interval_s=10, grace_s=30, limit=2)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = BEGAN + timedelta(hours=1)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Sweeping:
    """A relay over the events that another epoch has left behind."""

    def __init__(self, store: FailingStore, *, mint: SteadyMint | None = None) -> None:
        self.clock = Clock()
        self.worker = WorkerInMemory(store=store, mint=mint or SteadyMint())
        self.batches = self.worker.batches()
        self.relay = Relay(outbox=self.worker.outbox(), policy=POLICY, clock=self.clock)

    async def sweep(self) -> list[str]:
        return names(await self.relay.sweep())

    def confirm(self, said: Said) -> None:
        for event in said.events:
            self.worker.outstanding.confirm(event)


def names(said: Said) -> list[str]:
    return [event.device_id for event in said.events]


async def leave_behind(store: FailingStore, *device_ids: str, mint: SteadyMint | None = None) -> None:
    lost = WorkerInMemory(store=store, mint=mint or SteadyMint()).batches()
    await lost.carry_out([received(create(device_id)) for device_id in device_ids])


async def test_an_epoch_begins_with_whatever_is_unpublished_however_young(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    sweeping.clock.now = BEGAN + timedelta(microseconds=1)
    await leave_behind(store, "a")

    assert sweeping.relay.due
    assert await sweeping.sweep() == ["a"]


async def test_it_looks_again_after_the_interval_and_not_before(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    await sweeping.sweep()

    assert not sweeping.relay.due
    sweeping.clock.advance(9.999)
    assert not sweeping.relay.due
    sweeping.clock.advance(0.001)
    assert sweeping.relay.due

    await sweeping.sweep()
    assert not sweeping.relay.due


async def test_a_clock_that_is_set_back_does_not_silence_it(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    await sweeping.sweep()

    sweeping.clock.advance(-3_600)

    assert sweeping.relay.due


async def test_later_it_leaves_alone_what_may_still_be_on_its_way(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    sweeping.clock.now = BEGAN
    await sweeping.sweep()
    await leave_behind(store, "a")  # as another worker does

    sweeping.clock.advance(30)
    assert await sweeping.sweep() == []
    sweeping.clock.advance(1)
    assert await sweeping.sweep() == ["a"]


async def test_more_than_one_sweep_can_take_is_taken_without_waiting(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    await leave_behind(store, "a", "b", "c", "d", "e")
    swept: list[str] = []

    while sweeping.relay.due:
        said = await sweeping.relay.sweep()
        swept += names(said)
        sweeping.confirm(said)

    assert swept == ["a", "b", "c", "d", "e"]


async def test_what_is_still_in_hand_does_not_keep_it_from_seeing_further(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    await leave_behind(store, "a", "b", "c")
    first = await sweeping.relay.sweep()

    second = await sweeping.relay.sweep()

    assert names(second) == ["c"]
    assert sweeping.relay.due
    sweeping.confirm(first)
    sweeping.confirm(second)
    assert await sweeping.sweep() == []
    assert not sweeping.relay.due


async def test_a_device_that_is_refused_for_ever_does_not_keep_the_others_from_their_turn(
    store: FailingStore,
) -> None:
    sweeping = Sweeping(store)
    await leave_behind(store, "z")
    lost = WorkerInMemory(store=store, mint=SteadyMint(numbers=itertools.count(1_000))).batches()
    await lost.carry_out([received(command("a")) for command in (create, stop, create, stop)])

    for _ in range(2):
        said = await sweeping.relay.sweep()
        assert names(said) == ["a", "a"]
        for event in said.events:
            sweeping.worker.outstanding.release(event)
        if await sweeping.sweep() == ["z"]:
            return
    raise AssertionError("it never came to z")


async def test_what_came_after_the_epoch_began_is_not_part_of_catching_up(store: FailingStore) -> None:
    mint = SteadyMint()
    await leave_behind(store, "a", "b", mint=mint)
    sweeping = Sweeping(store)
    sweeping.clock.now = BEGAN + timedelta(microseconds=1)
    sweeping.confirm(await sweeping.relay.sweep())
    await leave_behind(store, "c", mint=mint)  # as another worker does, a second later

    sweeping.clock.advance(5)
    assert sweeping.relay.due
    assert await sweeping.sweep() == []


async def test_events_that_the_broker_keeps_refusing_are_given_time(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    await leave_behind(store, "a", "b", "c")

    for expected in (["a", "b"], ["c"], ["a", "b"], ["c"]):
        assert sweeping.relay.due
        said = await sweeping.relay.sweep()
        assert names(said) == expected
        for event in said.events:
            sweeping.worker.outstanding.release(event)

    assert not sweeping.relay.due
    sweeping.clock.advance(10)
    assert sweeping.relay.due


async def test_events_in_hand_that_are_refused_then_are_given_time_too(store: FailingStore) -> None:
    sweeping = Sweeping(store)
    await leave_behind(store, "a", "b", "c")

    in_hand = [*(await sweeping.relay.sweep()).events, *(await sweeping.relay.sweep()).events]
    for _ in range(2):
        assert await sweeping.sweep() == []
    for event in in_hand:
        sweeping.worker.outstanding.release(event)
    assert await sweeping.sweep() == ["a", "b"]
    assert await sweeping.sweep() == ["c"]

    assert not sweeping.relay.due


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_an_epoch_publishes_what_was_left_behind_in_each_devices_order(
    store: FailingStore, limit: int
) -> None:
    lost = WorkerInMemory(store=store).batches()
    await lost.carry_out(
        [received(command) for command in (create("a"), create("b"), stop("a"), create("a"), stop("b"))]
    )
    worker = WorkerInMemory(store=store, policy=RelayPolicy(worker="w-1", limit=limit))
    worker.broker.send(received(create("c")))

    await worker.work_until(lambda: len(worker.broker.arrived(StoredEvent)) == 6)

    arrived = [(event.device_id, event.sequence) for event in worker.broker.arrived(StoredEvent)]
    assert sorted(arrived) == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("c", 1)]
    assert [sequence for device_id, sequence in arrived if device_id == "a"] == [1, 2, 3]
    assert await outbox(store) == []


async def test_an_event_that_was_refused_is_published_by_a_later_sweep(store: FailingStore) -> None:
    clock = Clock()
    worker = WorkerInMemory(store=store, clock=clock, policy=POLICY, event_retries=0)
    refusals = iter([Fate.REFUSED])

    def fate(message: Outgoing) -> Fate:
        return next(refusals, Fate.CONFIRMED) if isinstance(message, StoredEvent) else Fate.CONFIRMED

    worker.broker.fate = fate
    command = received(create())
    worker.broker.send(command)

    def has_arrived() -> bool:
        clock.advance(60)
        return bool(worker.broker.arrived(StoredEvent))

    await worker.work_until(has_arrived)

    assert worker.broker.acknowledged == [command]
    assert len(worker.broker.published(StoredEvent)) == 2


async def test_a_device_with_a_long_backlog_is_never_heard_of_out_of_order(store: FailingStore) -> None:
    worker = WorkerInMemory(
        store=store,
        event_retries=0,
        clock=lambda: BEGAN,  # the relay sees nothing late
        flow=Flow(idle_s=60),  # nothing is marked but by the next batch
    )
    is_refusing = True
    worker.broker.fate = lambda message: (
        Fate.REFUSED if is_refusing and isinstance(message, StoredEvent) else Fate.CONFIRMED
    )
    stopping = asyncio.Event()
    running = asyncio.create_task(worker.run_epoch(stopping))
    worker.broker.send(*(received(stop() if n % 2 else create()) for n in range(UNPUBLISHED_MAX + 10)))
    await worker.broker.until(lambda: worker.broker.is_settled)
    is_refusing = False
    for number in range(4):
        worker.broker.send(received(stop() if number % 2 else create()))
        await worker.broker.until(lambda: worker.broker.is_settled)
    stopping.set()
    await running

    heard = [event.sequence for event in worker.broker.arrived(StoredEvent)]
    assert heard == list(range(1, len(heard) + 1))
    assert len(heard) >= UNPUBLISHED_MAX
