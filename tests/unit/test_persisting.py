"""Transactions that are tried until one commits, and what is done meanwhile."""

import asyncio

import pytest

from tests.support.failing_store import FailingStore
from tests.support.fake_broker import FakeBroker, FakeSession
from tests.support.making import BEGAN, create, received
from worker.service.persisting import CONFLICTS_AT_ONCE_MAX, CONFLICTS_MAX, Allowance, Patience, Persistence
from worker.service.ports import (
    Attempt,
    CommitUnknown,
    EpochOver,
    StoreConflict,
    StoreUnavailable,
    Transaction,
)
from worker.service.stored import Changes

AWAY = [StoreUnavailable("the disk is full"), CommitUnknown("the connection was lost")]


async def work(_: Transaction) -> str:
    return "done"


def persistence(
    store: FailingStore, session: FakeSession, *, pause_s: float = 0.0001, hold_s: float = 60
) -> Persistence:
    patience = Patience(first_s=pause_s, longest_s=10 * pause_s, hold_s=hold_s)
    return Persistence(store=store, inbox=session, patience=patience, allowance=Allowance())


async def taking(broker: FakeBroker) -> FakeSession:
    session = broker.open()
    await session.start()
    return session


@pytest.mark.parametrize("error", AWAY)
async def test_a_database_that_is_away_is_tried_until_it_is_back(
    store: FailingStore, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(7):
        store.fail_next(error)

    assert await persistence(store, FakeBroker().open()).persist(work) == "done"

    assert store.transactions == 8
    away = [record for record in caplog.records if record.message == "database.unavailable"]
    assert [vars(record)["reason"] for record in away] == [str(error)] * 7


async def test_while_the_database_is_away_nothing_is_taken(store: FailingStore) -> None:
    broker = FakeBroker()
    session = await taking(broker)
    in_hand: list[int] = []

    async def still_away() -> None:
        broker.send(received(create()))
        in_hand.append(len(broker.in_hand))
        if len(in_hand) < 4:
            raise StoreUnavailable("away")

    store.meanwhile = still_away
    await persistence(store, session).persist(work)

    assert in_hand == [1, 1, 1, 1]  # what came before it was known, and no more
    (message,) = await session.take(1)
    await session.acknowledge([message.delivery])
    assert len(broker.in_hand) == 1


async def test_an_inbox_that_was_not_started_stays_so(store: FailingStore) -> None:
    broker = FakeBroker()
    session = broker.open()
    broker.send(received(create()))
    store.fail_next(StoreUnavailable("away"))

    await persistence(store, session).persist(work)

    assert broker.in_hand == []


async def test_what_is_in_hand_goes_back_where_the_database_stays_away(store: FailingStore) -> None:
    session = await taking(FakeBroker())
    for _ in range(100):
        store.fail_next(StoreUnavailable("away"))

    with pytest.raises(EpochOver, match="goes back to the queue"):
        await persistence(store, session, hold_s=0).persist(work)

    assert store.transactions == 1


async def test_before_anything_is_taken_the_database_is_waited_for_for_ever(store: FailingStore) -> None:
    for _ in range(20):
        store.fail_next(StoreUnavailable("away"))

    assert await persistence(store, FakeBroker().open(), hold_s=0).persist(work) == "done"


async def test_a_conflict_begins_again_at_once(store: FailingStore) -> None:
    for _ in range(CONFLICTS_AT_ONCE_MAX):
        store.fail_next(StoreConflict("another worker was faster"))

    async with asyncio.timeout(30):
        assert await persistence(store, FakeBroker().open(), pause_s=1_000).persist(work) == "done"


async def test_many_conflicts_in_a_row_wait_for_somebody_to_get_a_pause(store: FailingStore) -> None:
    for _ in range(CONFLICTS_AT_ONCE_MAX + 1):
        store.fail_next(StoreConflict("another worker was faster"))
    enough = asyncio.Event()

    async def count() -> None:
        if store.transactions > CONFLICTS_AT_ONCE_MAX:
            enough.set()

    store.meanwhile = count
    task = asyncio.create_task(persistence(store, FakeBroker().open(), pause_s=1_000).persist(work))
    async with asyncio.timeout(30):
        await enough.wait()
    done, _ = await asyncio.wait({task}, timeout=0.02)
    task.cancel()

    assert not done
    assert store.transactions == CONFLICTS_AT_ONCE_MAX + 1


async def test_a_conflict_that_never_ends_is_the_works_own(store: FailingStore) -> None:
    for _ in range(CONFLICTS_MAX + 1):
        store.fail_next(StoreConflict("this sequence is taken"))

    with pytest.raises(StoreConflict, match="this sequence"):
        await persistence(store, FakeBroker().open()).persist(work)

    assert store.transactions == CONFLICTS_MAX + 1


async def test_a_conflict_during_an_outage_is_not_the_end_of_it(store: FailingStore) -> None:
    for error in (*AWAY, StoreConflict("faster"), *AWAY):
        store.fail_next(error)

    assert await persistence(store, FakeBroker().open()).persist(work) == "done"


async def save_something(attempt: Attempt) -> str:
    await attempt.save(Changes(at=BEGAN))
    return "done"


async def test_one_command_takes_no_locks_until_another_worker_was_faster(store: FailingStore) -> None:
    one = persistence(store, FakeBroker().open())

    assert await one.persist_one(save_something) == "done"
    assert (store.attempts, store.transactions) == (1, 1)

    store.fail_next(StoreConflict("somebody was faster"))
    store.fail_next(StoreConflict("and again"))
    assert await one.persist_one(save_something) == "done"
    assert (store.attempts, store.transactions) == (2, 4)


@pytest.mark.parametrize("error", AWAY)
async def test_one_command_outlasts_an_outage_too(store: FailingStore, error: Exception) -> None:
    for _ in range(3):
        store.fail_next(error)

    assert await persistence(store, FakeBroker().open()).persist_one(save_something) == "done"

    assert store.attempts == 4


async def test_one_command_whose_conflict_never_ends_is_to_blame(store: FailingStore) -> None:
    for _ in range(3):
        store.fail_next(StoreConflict("again"))

    with pytest.raises(StoreConflict):
        await persistence(store, FakeBroker().open()).persist_one(save_something, conflicts_max=2)


async def test_an_outage_that_ends_in_another_error_is_over_all_the_same(store: FailingStore) -> None:
    broker = FakeBroker()
    session = await taking(broker)
    store.fail_next(StoreUnavailable("away"))
    store.fail_next(ZeroDivisionError("a value that the database does not take"))

    with pytest.raises(ZeroDivisionError):
        await persistence(store, session).persist(work)

    broker.send(received(create()))
    assert len(broker.in_hand) == 1


async def test_once_has_no_patience(store: FailingStore) -> None:
    store.fail_next(StoreUnavailable("away"))

    with pytest.raises(StoreUnavailable):
        await persistence(store, FakeBroker().open()).once(work)

    assert await persistence(store, FakeBroker().open()).once(work) == "done"
