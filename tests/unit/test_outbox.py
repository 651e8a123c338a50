"""What the database is told and asked about events."""

from datetime import timedelta

import pytest

from tests.support.failing_store import FailingStore
from tests.support.making import SteadyMint, create, received, stop
from tests.support.worker_in_memory import AGES_LATER, WorkerInMemory, outbox
from worker.service.messages import Said
from worker.service.outbox import Outbox, ParkingPolicy
from worker.service.stored import Claim


def sequences(said: Said) -> list[tuple[str, int]]:
    return [(event.device_id, event.sequence) for event in said.events]


def a_claim(*, worker: str = "w-1", limit: int = 10, hours: float = 0) -> Claim:
    now = AGES_LATER + timedelta(hours=hours)
    return Claim(worker=worker, now=now, until=now + timedelta(seconds=30), before=now, limit=limit)


async def left_behind(store: FailingStore, *device_ids: str) -> Said:
    return await WorkerInMemory(store=store).batches().carry_out([received(create(d)) for d in device_ids])


def fresh(store: FailingStore) -> tuple[WorkerInMemory, Outbox]:
    worker = WorkerInMemory(store=store, parking=ParkingPolicy(after=2, rest_s=3_600))
    return worker, worker.outbox()


async def test_marking_writes_only_where_there_is_something_to_mark(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    batches, box = worker.batches(), worker.outbox()
    await box.mark()
    assert store.transactions == 0

    (event,) = (await batches.carry_out([received(create())])).events
    worker.outstanding.confirm(event)
    await box.mark()
    await box.mark()

    assert store.transactions == 2
    assert await outbox(store) == []


async def test_a_sweep_claims_what_is_unpublished_and_old_enough(store: FailingStore) -> None:
    lost = await left_behind(store, "cam-1", "cam-2")
    _, box = fresh(store)
    young = Claim(worker="w-1", now=AGES_LATER, until=AGES_LATER, before=lost.events[0].at, limit=10)

    assert (await box.sweep(young)).said.events == []
    assert (await box.sweep(a_claim())).said == Said(events=lost.events)
    assert (await box.sweep(a_claim())).said == Said(events=[])


async def test_a_sweep_marks_before_it_looks(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    said = await worker.batches().carry_out([received(create("cam-1")), received(create("cam-2"))])
    worker.outstanding.confirm(said.events[0])

    swept = await worker.outbox().sweep(a_claim(limit=1))

    assert swept.cut_at == "cam-2"
    assert worker.outstanding.confirmed == []
    assert await outbox(store) == [said.events[1]]


async def test_a_sweep_says_whether_there_may_be_more(store: FailingStore) -> None:
    await left_behind(store, "cam-1", "cam-2")
    _, box = fresh(store)

    assert (await box.sweep(a_claim(limit=2))).cut_at == "cam-2"
    assert (await box.sweep(a_claim(limit=3))).cut_at == ""


async def test_a_devices_tail_that_a_sweep_cut_off_is_claimed_by_its_next_command(store: FailingStore) -> None:
    commands = [received(create()), received(stop()), received(create()), received(stop())]
    await WorkerInMemory(store=store).batches().carry_out(commands)
    worker = WorkerInMemory(store=store)
    batches, box = worker.batches(), worker.outbox()

    swept = await box.sweep(a_claim(limit=3))
    said = await batches.carry_out([received(create())])

    assert sequences(swept.said) == [("cam-1", 1), ("cam-1", 2), ("cam-1", 3)]
    assert sequences(said) == [("cam-1", 4), ("cam-1", 5)]


async def test_a_device_that_another_worker_has_taken_is_left_to_it(store: FailingStore) -> None:
    await left_behind(store, "cam-1")
    (_, first), (_, second) = fresh(store), fresh(store)

    assert sequences((await first.sweep(a_claim(worker="w-1"))).said) == [("cam-1", 1)]
    assert sequences((await second.sweep(a_claim(worker="w-2"))).said) == []
    assert sequences((await second.sweep(a_claim(worker="w-2", hours=1))).said) == [("cam-1", 1)]


async def refuse_next(worker: WorkerInMemory, box: Outbox, *, hours: float = 0) -> list[tuple[str, int]]:
    """Have the broker refuse what a sweep claims, and write that down."""
    said = (await box.sweep(a_claim(hours=hours))).said
    for event in said.events[:1]:
        worker.outstanding.refuse(event)
    for event in said.events:
        worker.outstanding.release(event)
    await box.mark()
    return sequences(said)


async def test_an_event_that_is_refused_too_often_is_parked_and_reported(
    store: FailingStore, caplog: pytest.LogCaptureFixture
) -> None:
    await left_behind(store, "cam-1")
    worker, box = fresh(store)

    assert await refuse_next(worker, box) == [("cam-1", 1)]
    assert not [record for record in caplog.records if record.message == "event.parked"]
    assert await refuse_next(worker, box) == [("cam-1", 1)]

    (record,) = [record for record in caplog.records if record.message == "event.parked"]
    assert (vars(record)["device_id"], vars(record)["sequence"]) == ("cam-1", 1)
    assert await refuse_next(worker, box) == []


async def test_a_parked_event_is_tried_again_after_its_rest(store: FailingStore) -> None:
    await left_behind(store, "cam-1")
    worker, box = fresh(store)
    for _ in range(2):
        await refuse_next(worker, box)

    assert await refuse_next(worker, box, hours=0.99) == []
    assert await refuse_next(worker, box, hours=1.01) == [("cam-1", 1)]


async def test_a_batch_leaves_a_parked_device_to_the_relay(store: FailingStore) -> None:
    await left_behind(store, "cam-1")
    worker, box = fresh(store)
    for _ in range(2):
        await refuse_next(worker, box)
    batches = WorkerInMemory(store=store, mint=SteadyMint()).batches()

    said = await batches.carry_out([received(stop("cam-1")), received(stop("cam-9"))])

    assert sequences(said) == []
    assert [event.sequence for event in await outbox(store)] == [1, 2]
