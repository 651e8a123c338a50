"""How epochs end: by a connection that goes, by a defect, by being cancelled."""

import asyncio

import pytest

from tests.support.failing_store import FailingStore
from tests.support.fake_broker import (
    Fate,
    Widened,
)
from tests.support.making import create, received
from tests.support.running import DEADLINE_S, held, running, wide
from tests.support.worker_in_memory import WorkerInMemory, outbox
from worker.service.messages import Outgoing, StoredEvent
from worker.service.ports import EpochOver, StoreConflict, StoreUnavailable
from worker.service.process import Flow


async def test_a_lost_connection_ends_the_epoch_while_it_waits(store: FailingStore) -> None:
    async with running(WorkerInMemory(store=store, flow=Flow(idle_s=60))) as epoch:
        epoch.session.lose("the broker went away")

        with pytest.raises(EpochOver, match="the broker went away"):
            await epoch.end()


async def test_a_lost_connection_ends_the_epoch_while_the_database_is_away(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(idle_s=60), patience_s=60))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        tried = asyncio.Event()

        async def note() -> None:
            tried.set()

        store.meanwhile = note
        store.fail_next(StoreUnavailable("away"))
        worker.broker.send(received(create()))
        async with asyncio.timeout(DEADLINE_S):
            await tried.wait()
        epoch.session.lose("the broker went away")

        with pytest.raises(EpochOver, match="the broker went away"):
            await epoch.end()


async def test_a_lost_connection_ends_the_epoch_while_both_tasks_are_busy(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(batch_max=1)))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        held(worker)
        worker.broker.send(*(received(create(f"cam-{number}")) for number in range(5)))
        await epoch.until(lambda: bool(worker.broker.published(StoredEvent)))
        settled = len(worker.broker.acknowledged)
        epoch.session.lose("the broker went away")

        with pytest.raises(EpochOver, match="the broker went away"):
            await epoch.end()

    assert len(worker.broker.acknowledged) == settled == 1


async def test_a_running_transaction_ends_before_the_epoch_does(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(idle_s=60)))
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        entered, let_go = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            entered.set()
            await let_go.wait()

        store.meanwhile = wait
        worker.broker.send(received(create()))
        async with asyncio.timeout(DEADLINE_S):
            await entered.wait()
        epoch.session.lose()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not epoch.task.done()

        let_go.set()
        with pytest.raises(EpochOver):
            await epoch.end()

    store.meanwhile = lambda: asyncio.sleep(0)
    assert len(await outbox(store)) == 1


async def test_a_defect_in_the_relay_ends_the_epoch_as_itself(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    store.fail_next(ZeroDivisionError("a defect"))

    async with running(worker) as epoch:
        with pytest.raises(ExceptionGroup) as raised:
            await epoch.end()

    assert raised.group_contains(ZeroDivisionError, match="a defect")


async def test_a_defect_while_saying_ends_the_epoch_as_itself(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)

    def broken(_: Outgoing) -> Fate:
        raise ZeroDivisionError("a defect")

    worker.broker.fate = broken
    worker.broker.send(received(create()))
    async with running(worker) as epoch:
        with pytest.raises(ExceptionGroup) as raised:
            await epoch.end()

    assert raised.group_contains(ZeroDivisionError, match="a defect")
    assert worker.broker.journal == []


async def test_a_defect_is_not_hidden_by_a_connection_that_goes_at_the_same_time(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    async with running(worker) as epoch:

        def broken(_: Outgoing) -> Fate:
            epoch.session.lose()
            raise ZeroDivisionError("a defect")

        worker.broker.fate = broken
        worker.broker.send(received(create()))
        with pytest.raises(ExceptionGroup) as raised:
            await epoch.end()

    assert raised.group_contains(ZeroDivisionError, match="a defect")


async def test_a_cancelled_epoch_is_cancelled(store: FailingStore) -> None:
    async with running(WorkerInMemory(store=store)) as epoch:
        await epoch.until(lambda: True)
        epoch.task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await epoch.task


async def test_stopped_while_the_first_sweep_is_said_and_the_database_goes_it_just_ends(
    store: FailingStore,
) -> None:
    worker = WorkerInMemory(store=store, event_retries=0)
    worker.broker.fate = lambda message: Fate.REFUSED if isinstance(message, StoredEvent) else Fate.CONFIRMED
    worker.broker.send(received(create()))
    await worker.work_off()
    worker.broker.fate = lambda _: Fate.CONFIRMED
    let_go = held(worker)
    async with running(worker) as epoch:
        said = len(worker.broker.published(StoredEvent))
        await epoch.until(lambda: len(worker.broker.published(StoredEvent)) > said)
        epoch.stopping.set()

        async def away() -> None:
            raise StoreUnavailable("away")

        store.meanwhile = away
        let_go.set()
        await epoch.end()


async def test_changes_that_never_get_through_outside_of_a_batch_end_the_epoch(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)

    async def conflict() -> None:
        raise StoreConflict("somebody was faster")

    store.meanwhile = conflict
    async with running(worker) as epoch:
        with pytest.raises(EpochOver, match="again and again"):
            await epoch.end()
