"""What only PostgreSQL shows: several workers that claim, count, forget and sign in at the same time."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from tests.support.beside import run_beside, waits_for_a_lock
from tests.support.store_suite import AT, LATER, PATIENCE_S, a_handled, an_event, load, save
from tests.support.store_suite_relay import LEASE, claim, claimed, leave, refuse
from tests.support.store_suite_upkeep import answered, prune, remembered
from tests.support.stores import opened_store
from worker.service.messages import StoredEvent
from worker.service.ports import StoreConflict, Transaction
from worker.service.stored import Changes, Claim, Horizon, Parking, Wanted
from worker.sql.engine import StoreOptions
from worker.sql.store import SqlStore

T = TypeVar("T")


@pytest.fixture
async def other(url: str) -> AsyncIterator[SqlStore]:
    """Another worker on the same database."""
    async with opened_store(url) as other:
        yield other


async def _while(store: SqlStore, work: Callable[[Transaction], Awaitable[object]], do: Awaitable[T]) -> T:
    """Do something between a transaction's work and its commit; whatever waits for the commit is too late."""

    async def all_of_it(transaction: Transaction) -> T:
        await work(transaction)
        return await asyncio.wait_for(do, PATIENCE_S)

    return await store.transact(all_of_it)


def _claiming(worker: str, limit: int = 100) -> Callable[[Transaction], Awaitable[Any]]:
    return lambda transaction: transaction.claim(
        Claim(worker=worker, now=LATER, until=LATER + LEASE, before=LATER, limit=limit)
    )


async def test_workers_that_claim_at_once_get_different_devices_and_do_not_wait(
    store: SqlStore, other: SqlStore
) -> None:
    await leave(store, *((f"cam-{number}", 1) for number in range(6)))
    theirs = await _while(store, _claiming("a", limit=3), claimed(other, "b", limit=2))
    assert theirs == [("cam-3", 1), ("cam-4", 1)]
    assert await claimed(store, "a") == [("cam-0", 1), ("cam-1", 1), ("cam-2", 1), ("cam-5", 1)]


async def test_a_claim_does_not_wait_for_a_batch_that_has_the_device(store: SqlStore, other: SqlStore) -> None:
    await leave(store, ("busy", 1), ("cam-1", 1))
    theirs = await _while(
        store,
        lambda transaction: transaction.load(Wanted(devices=frozenset({"busy"}))),
        claimed(other, "b"),
    )
    assert theirs == [("cam-1", 1)]
    assert await claimed(other, "b") == [("busy", 1), ("cam-1", 1)]


async def test_a_batch_waits_for_no_claim_of_another_device(store: SqlStore, other: SqlStore) -> None:
    await leave(store, ("cam-1", 1))
    await save(store, Changes(at=AT, events=[an_event("cam-2", 1, at=LATER)]))
    batch = load(other, devices=frozenset({"cam-2"}), creating=frozenset({"cam-3"}))
    loaded = await _while(store, _claiming("a"), batch)
    assert [device.id for device in loaded.devices] == ["cam-2", "cam-3"]


async def test_a_device_that_another_claimed_between_the_look_and_the_lock_is_not_taken(
    url: str, store: SqlStore, other: SqlStore
) -> None:
    """The look at the rows and the lock on the device are not one moment: here there is time between them."""
    await leave(store, ("cam-1", 1))
    stopping = "CASE current_setting('application_name') WHEN 'slow' THEN pg_advisory_lock_shared(7)::text END"
    made_slow = (
        f"CREATE FUNCTION stop() RETURNS boolean LANGUAGE SQL AS $$ SELECT coalesce({stopping}, '') = '' $$",
        "ALTER TABLE devices RENAME TO real_devices",
        "CREATE VIEW devices AS SELECT * FROM real_devices WHERE stop()",
    )
    async with opened_store(url, options=StoreOptions(application_name="slow")) as slow:
        await run_beside(store, *made_slow)
        async with other._engine.begin() as holding:
            await holding.execute(text("SELECT pg_advisory_xact_lock(7)"))
            late = asyncio.create_task(claimed(slow, "b"))
            await waits_for_a_lock(store)
            assert await claimed(store, "a") == [("cam-1", 1)]
        assert await late == []


async def test_refusals_counted_by_two_workers_at_once_all_count(store: SqlStore, other: SqlStore) -> None:
    await leave(store, ("cam-1", 1), ("cam-2", 1))
    both: list[Any] = await asyncio.gather(
        *(refuse(mine, {"cam-2": 1, "cam-1": 1}) for mine in (store, other, store))
    )
    assert sorted(map(list, both)) == [[], [], ["cam-1", "cam-2"]]


async def test_sweeps_and_batches_of_three_workers_never_deadlock(url: str, store: SqlStore) -> None:
    chance = random.Random(11)
    ids = [f"cam-{number}" for number in range(8)]
    left = [an_event(device_id, sequence) for device_id in ids for sequence in range(1, 5)]
    await save(store, Changes(at=AT, events=left))
    parking = Parking(at=LATER, after=2, retry_at=LATER)

    async def sweep(transaction: Transaction, name: str, some: list[StoredEvent]) -> None:
        await transaction.sign_in(name, LATER)
        refused = {event.device_id: event.sequence for event in some[:4]}
        await transaction.refused(refused, parking)
        await transaction.save(Changes(at=LATER, published=[event.id for event in some[4:]]))
        # Nobody owns anything for long: all fight for all.
        await transaction.claim(Claim(worker=name, now=LATER, until=LATER, before=LATER, limit=5))

    async def batch(transaction: Transaction, name: str, some: list[StoredEvent]) -> None:
        await transaction.load(Wanted(devices=frozenset(event.device_id for event in some[:3])))
        handled = [a_handled(f"{name}-{random.random()}")]
        await transaction.save(Changes(at=LATER, handled=handled, published=[event.id for event in some[3:]]))

    async def worker(mine: SqlStore, name: str) -> None:
        for number in range(60):
            step, some = (sweep if number % 2 else batch), chance.sample(left, 8)

            async def work(transaction: Transaction, step: Any = step, some: Any = some) -> None:
                await step(transaction, name, some)

            await mine.transact(work)

    async with opened_store(url) as second, opened_store(url) as third, asyncio.timeout(60):
        await asyncio.gather(worker(store, "a"), worker(second, "b"), worker(third, "c"))


async def test_who_forgets_waits_for_nobody_and_nothing_is_forgotten_twice(
    store: SqlStore, other: SqlStore
) -> None:
    await answered(store, *range(6))
    horizon = AT + timedelta(minutes=5)

    async def forget(transaction: Transaction) -> int:
        return await transaction.prune(Horizon(handled_before=horizon, events_before=None, limit=2))

    assert await _while(store, forget, prune(other, handled=horizon, limit=2)) == 2
    assert [int(one.identity.key.message_id) for one in await remembered(store, *range(6))] == [4, 5]


async def test_workers_that_sign_in_at_once_after_a_long_time_do_not_deadlock(
    store: SqlStore, other: SqlStore
) -> None:
    async def sign_in(mine: SqlStore, name: str, days: int) -> None:
        await mine.transact(lambda transaction: transaction.sign_in(name, AT + timedelta(days=days)))

    await sign_in(store, "gone", 0)
    for days in range(0, 40, 2):
        await asyncio.gather(sign_in(store, "a", days), sign_in(other, "b", days))
    async with store._engine.connect() as connection:
        names = (await connection.execute(text("SELECT name FROM workers ORDER BY name"))).scalars().all()
    assert names == ["a", "b"]


async def test_a_refusal_of_a_device_that_is_not_there_is_a_conflict(store: SqlStore) -> None:
    with pytest.raises(StoreConflict):
        await refuse(store, {"no-such": 1})
    assert await claim(store) == []
