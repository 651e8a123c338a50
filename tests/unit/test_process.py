"""The pipeline of one epoch: take, carry out, say, settle."""

import asyncio
from collections.abc import Callable

import pytest

from tests.support.failing_store import FailingStore
from tests.support.fake_broker import (
    Acknowledged,
    FakeBroker,
    Fate,
    GivenBack,
    Paused,
    Published,
    Resumed,
    Widened,
)
from tests.support.making import create, get, received, refused, stop, told, unreadable
from tests.support.running import DEADLINE_S, held, running, wide
from tests.support.worker_in_memory import WorkerInMemory, outbox
from worker.service.messages import DeadLetter, Outgoing, Received, Reply, StoredEvent
from worker.service.ports import EpochOver, StoreUnavailable
from worker.service.process import Flow


async def given_back(worker: WorkerInMemory, *messages: Received) -> None:
    """Send messages that were in somebody's hand before."""
    worker.broker.send(*messages)
    dead = worker.broker.open()
    await dead.start()
    await dead.widen()
    dead.end()
    worker.broker.journal.clear()


def replies(broker: FakeBroker) -> list[str]:
    return [told(reply.answer) for reply in broker.published(Reply)]


def fate_of(kind: type[Outgoing], fate: Fate) -> Callable[[Outgoing], Fate]:
    return lambda message: fate if isinstance(message, kind) else Fate.CONFIRMED


async def test_commands_are_carried_out_answered_and_acknowledged(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    commands = [received(create()), received(create()), received(stop()), received(get("cam-9"))]
    worker.broker.send(*commands)

    assert await worker.work_off() == 1

    assert replies(worker.broker) == ["created", "reused", "stopped", "not_found"]
    assert [event.sequence for event in worker.broker.published(StoredEvent)] == [1, 2]
    assert worker.broker.acknowledged == commands
    assert await outbox(store) == []


async def test_nothing_is_acknowledged_before_its_events_and_reply_are_confirmed(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    let_go = held(worker)
    command = received(create())
    worker.broker.send(command)

    async with running(worker) as epoch:
        await epoch.until(lambda: len(worker.broker.journal) == 2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert [type(entry) for entry in worker.broker.journal] == [Published, Published]

        let_go.set()
        await epoch.until(lambda: worker.broker.is_settled)
        assert worker.broker.acknowledged == [command]
        await epoch.stop()


async def test_the_next_batch_is_saved_while_this_one_is_being_confirmed(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(batch_max=1, idle_s=10)))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        let_go = held(worker)
        saved_before = store.transactions
        saved = asyncio.Event()

        async def look() -> None:
            if store.transactions == saved_before + 2:
                saved.set()

        store.meanwhile = look
        worker.broker.send(received(create()), received(stop()))
        async with asyncio.timeout(DEADLINE_S):
            await saved.wait()

        assert replies(worker.broker) == ["created"]
        let_go.set()
        await epoch.until(lambda: worker.broker.is_settled)
        assert replies(worker.broker) == ["created", "stopped"]
        assert [event.sequence for event in worker.broker.published(StoredEvent)] == [1, 2]
        await epoch.stop()


async def test_no_more_than_two_batches_are_decided_ahead(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(batch_max=1, idle_s=10)))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        let_go = held(worker)
        saved_before = store.transactions
        ahead = asyncio.Event()

        async def look() -> None:
            if store.transactions == saved_before + 3:
                ahead.set()

        store.meanwhile = look
        worker.broker.send(*(received(create(f"cam-{number}")) for number in range(8)))
        async with asyncio.timeout(DEADLINE_S):
            await ahead.wait()
        await asyncio.wait({epoch.task}, timeout=0.02)
        assert store.transactions == saved_before + 3

        let_go.set()
        await epoch.until(lambda: worker.broker.is_settled)
        await epoch.stop()


async def test_the_first_batch_widens_the_inbox(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    first, *others = [received(create(f"cam-{number}")) for number in range(4)]
    worker.broker.send(first, *others)

    async with running(worker) as epoch:
        await epoch.until(lambda: bool(epoch.session.unsettled))
        assert len(epoch.session.unsettled) == 1
        await epoch.until(lambda: worker.broker.is_settled)
        await epoch.stop()

    journal = worker.broker.journal
    assert journal.count(Widened()) == 1
    assert journal.index(Widened()) == journal.index(Acknowledged(message=first)) - 1


async def test_what_comes_again_is_taken_one_at_a_time_and_what_is_new_widens(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    again = [received(create(f"cam-{number}")) for number in range(3)]
    await given_back(worker, *again)
    new = received(create("cam-new"))
    worker.broker.send(new)
    await worker.work_off()

    journal = worker.broker.journal
    assert worker.broker.acknowledged == [*again, new]
    assert journal.count(Widened()) == 1
    assert journal.index(Widened()) == journal.index(Acknowledged(message=new)) - 1


async def test_what_a_lost_connection_gave_back_is_not_held_against_it_by_a_worker_that_lives(
    store: FailingStore,
) -> None:
    worker = wide(WorkerInMemory(store=store))
    await worker.work_off()
    again = [received(create(f"cam-{number}")) for number in range(3)]
    await given_back(worker, *again)

    await worker.work_off()

    journal = worker.broker.journal
    assert journal.count(Widened()) == 1
    assert journal.index(Widened()) == journal.index(Acknowledged(message=again[0])) - 1


async def test_an_outage_gives_back_what_is_in_hand_and_costs_one_delivery(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store, hold_s=0)
    command = received(create())
    worker.broker.send(command)
    in_hand: list[int] = []

    async def away_for_long() -> None:
        if len(in_hand) < 4 and (in_hand or worker.broker.in_hand):
            in_hand.append(len(worker.broker.in_hand))
            raise StoreUnavailable("away")

    store.meanwhile = away_for_long

    assert await worker.work_off() == 2

    assert in_hand == [1, 0, 0, 0]
    assert worker.broker.acknowledged == [command]


async def test_a_database_that_can_be_looked_into_and_takes_no_batch_costs_one_delivery_too(
    store: FailingStore,
) -> None:
    worker = WorkerInMemory(store=store, hold_s=0)
    command = received(create())
    worker.broker.send(command)
    tries: list[None] = []

    async def takes_no_batch() -> None:
        if worker.broker.in_hand and len(tries) < 10:
            tries.append(None)
            raise StoreUnavailable("somebody holds a lock")

    store.meanwhile = takes_no_batch

    assert await worker.work_off() == 2

    assert len(tries) == 10
    assert worker.broker.acknowledged == [command]


async def test_after_a_batch_that_was_saved_the_next_outage_gives_back_again(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store, hold_s=0)
    away: list[None] = []

    async def away_for_long() -> None:
        if worker.broker.in_hand and len(away) < 2:
            away.append(None)
            raise StoreUnavailable("away")

    store.meanwhile = away_for_long
    for number in range(2):
        away.clear()
        worker.broker.send(received(create(f"cam-{number}")))
        assert await worker.work_off() == 2


async def test_while_an_outage_is_held_nothing_is_taken_and_then_it_goes_on_by_itself(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        for _ in range(3):
            store.fail_next(StoreUnavailable("away"))
        worker.broker.send(received(create("cam-1")))
        await epoch.until(lambda: Resumed() in worker.broker.journal)
        worker.broker.send(received(create("cam-2")))
        await epoch.until(lambda: worker.broker.is_settled)
        await epoch.stop()

    assert worker.broker.journal.count(Paused()) == 1
    assert len(worker.broker.acknowledged) == 3


async def test_nothing_is_taken_before_the_database_has_answered(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    worker.broker.send(received(create()))
    tries: list[int] = []

    async def still_away() -> None:
        tries.append(len(worker.broker.in_hand))
        if len(tries) < 3:
            raise StoreUnavailable("away")

    store.meanwhile = still_away

    await worker.work_off()

    assert tries[:3] == [0, 0, 0]
    assert len(tries) > 3


async def test_nothing_is_taken_before_what_was_left_unpublished_is_said(store: FailingStore) -> None:
    await WorkerInMemory(store=store).batches().carry_out([received(create())])
    worker = WorkerInMemory(store=store)
    worker.broker.send(received(create("cam-2")))
    let_go = held(worker)

    async with running(worker) as epoch:
        await epoch.until(lambda: bool(worker.broker.published(StoredEvent)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert worker.broker.in_hand == []

        let_go.set()
        await epoch.until(lambda: worker.broker.is_settled)
        await epoch.stop()


async def test_stopped_before_it_took_anything_it_just_ends(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    worker.broker.send(received(create()))
    session = worker.broker.open()
    stopping = asyncio.Event()
    stopping.set()

    await worker.pipeline(session).run(stopping)

    assert worker.broker.journal == []


async def test_a_sweep_alone_does_not_widen_the_inbox(store: FailingStore) -> None:
    await WorkerInMemory(store=store).batches().carry_out([received(create())])
    worker = WorkerInMemory(store=store)

    await worker.work_until(lambda: bool(worker.broker.published(StoredEvent)))

    assert Widened() not in worker.broker.journal


async def test_a_batch_takes_no_more_than_its_limit(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(batch_max=2, idle_s=10)))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        before = store.transactions
        worker.broker.send(*(received(get()) for _ in range(5)))
        await epoch.until(lambda: worker.broker.is_settled)
        await epoch.stop()

    assert store.transactions == before + 3


async def test_stopping_finishes_what_is_in_hand(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(batch_max=2)))
    worker.broker.prefetch = 5
    commands = [received(create(f"cam-{number}")) for number in range(8)]
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        let_go = held(worker)
        worker.broker.send(*commands)
        await epoch.until(lambda: bool(worker.broker.published(StoredEvent)))

        epoch.stopping.set()
        let_go.set()
        await epoch.end()

    assert worker.broker.acknowledged[1:] == commands[:5]
    assert len(worker.broker.published(StoredEvent)) == 5
    assert await outbox(store) == []


async def test_stopping_before_the_database_has_ever_answered_waits_for_nothing(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store, hold_s=60)
    tries: list[None] = []

    async def away() -> None:
        tries.append(None)
        worker.broker.deliver()  # somebody may look
        raise StoreUnavailable("away")

    store.meanwhile = away
    async with running(worker) as epoch:
        await epoch.until(lambda: len(tries) > 1)
        await epoch.stop()

    assert worker.broker.journal == []


async def test_stopping_an_idle_worker_ends_it_at_once(store: FailingStore) -> None:
    async with running(WorkerInMemory(store=store, flow=Flow(idle_s=60))) as epoch:
        await epoch.stop()


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNSURE])
@pytest.mark.parametrize("kind", [StoredEvent, Reply])
async def test_an_unknown_publish_ends_the_epoch_and_settles_nothing(
    store: FailingStore, kind: type[Outgoing], fate: Fate
) -> None:
    worker = WorkerInMemory(store=store)
    worker.broker.fate = fate_of(kind, fate)
    worker.broker.send(received(create()))

    async with running(worker) as epoch:
        with pytest.raises(EpochOver, match="neither confirmed nor refused"):
            await epoch.end()

    assert [type(entry) for entry in worker.broker.journal] == [Published, Published]


async def test_after_an_unknown_publish_the_next_epoch_says_the_same_again(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    fates = iter([Fate.UNSURE, Fate.LOST])
    worker.broker.fate = lambda _: next(fates, Fate.CONFIRMED)
    worker.broker.send(received(create(), message_id="m-1"))

    assert await worker.work_off() == 2

    lost, *again = worker.broker.published(Reply)
    assert [(reply.to, reply.message_id, reply.answer) for reply in again] == [
        (lost.to, lost.message_id, lost.answer)
    ]
    assert len(set(worker.broker.published(StoredEvent))) == 1
    assert worker.broker.is_settled


async def test_a_refused_event_is_acknowledged_for_it_stays_recorded(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    worker.broker.fate = fate_of(StoredEvent, Fate.REFUSED)
    command = received(create())
    worker.broker.send(command)

    await worker.work_off()

    assert worker.broker.acknowledged == [command]
    assert [event.sequence for event in await outbox(store)] == [1]


async def test_a_dead_letter_is_published_before_its_message_is_acknowledged(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    message, unheard = unreadable(), refused()
    worker.broker.send(message, unheard)

    await worker.work_off()

    assert [type(entry) for entry in worker.broker.journal] == [
        Published,
        Widened,
        Acknowledged,
        Published,
        Acknowledged,
    ]
    assert [letter.reason for letter in worker.broker.published(DeadLetter)] == ["undecodable", "malformed"]
    assert worker.broker.acknowledged == [message, unheard]


async def test_a_dead_letter_that_is_refused_goes_back_to_the_broker(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store))
    worker.broker.fate = fate_of(DeadLetter, Fate.REFUSED)
    before, message, after = received(get()), unreadable(), received(get())
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        worker.broker.send(before, message, after)
        await epoch.until(lambda: worker.broker.is_settled)
        await epoch.stop()

    assert worker.broker.acknowledged[1:] == [before, after]
    assert worker.broker.given_back == worker.broker.published(DeadLetter)
    assert len(worker.broker.given_back) == 1
    assert isinstance(worker.broker.journal[-1], GivenBack)


async def test_what_is_confirmed_is_marked_when_nothing_comes(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store, flow=Flow(idle_s=0.001))
    marked = asyncio.Event()
    async with running(worker) as epoch:

        async def look() -> None:
            if worker.broker.acknowledged:
                marked.set()

        store.meanwhile = look
        worker.broker.send(received(create()))
        async with asyncio.timeout(DEADLINE_S):
            await marked.wait()
        await epoch.stop()

    store.meanwhile = lambda: asyncio.sleep(0)
    assert await outbox(store) == []


async def test_what_was_confirmed_last_is_marked_before_the_end(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store, flow=Flow(idle_s=60))
    worker.broker.send(received(create()))

    await worker.work_off()

    assert await outbox(store) == []


@pytest.mark.parametrize("batch_max", [1, 3, 100])
async def test_many_commands_are_answered_in_the_order_in_which_they_came(
    store: FailingStore, batch_max: int
) -> None:
    worker = WorkerInMemory(store=store, flow=Flow(batch_max=batch_max))
    commands: list[Received] = []
    for number in range(10):
        commands += [received(create(f"cam-{number % 3}")), received(stop(f"cam-{number % 3}"))]
    worker.broker.send(*commands)

    await worker.work_off()

    assert replies(worker.broker) == ["created", "stopped"] * 10
    assert worker.broker.acknowledged == commands
    for device_id, events in (("cam-0", 8), ("cam-1", 6), ("cam-2", 6)):
        arrived = [e.sequence for e in worker.broker.arrived(StoredEvent) if e.device_id == device_id]
        assert arrived == list(range(1, events + 1))
