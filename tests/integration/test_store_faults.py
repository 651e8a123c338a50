"""What a database does on its bad days, provoked on real ones, and what the store makes of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import text

from devtools.postgres import PrivatePostgres
from tests.support.beside import at_commit, at_insert, no_more, run_beside, waits_for_a_lock
from tests.support.lost_answer import LostAnswer
from tests.support.store_suite import AT, a_handled, a_stream, begin, load, save
from tests.support.stores import made_store, opened_store
from worker.service.messages import Handled
from worker.service.ports import CommitUnknown, StoreConflict, StoreUnavailable, Transaction
from worker.service.stored import Changes, Wanted
from worker.sql.engine import StoreOptions
from worker.sql.store import SqlStore

MANY: Final = [a_handled(f"m-{number}") for number in range(2_000)]


async def _answered(store: SqlStore, handled: Handled) -> bool:
    return bool((await load(store, keys=frozenset({handled.identity.key}))).handled)


async def _pages(store: SqlStore, pragma: str) -> int:
    async with store._engine.connect() as connection:
        return int((await connection.execute(text(f"PRAGMA {pragma}"))).scalar_one())


async def test_a_disk_that_fills_up_within_a_transaction_keeps_nothing_of_it(tmp_path: Path) -> None:
    """SQLite then rolls back by itself, before the store does."""
    async with made_store(f"sqlite:///{tmp_path}/streams.db") as store:
        await begin(store, a_stream())
        await _pages(store, f"max_page_count = {await _pages(store, 'page_count') + 2}")

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-2"})))
            await transaction.save(Changes(at=AT, handled=MANY[:1]))
            await transaction.save(Changes(at=AT, handled=MANY[1:]))

        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="full"):
                await store.transact(work)
        assert not (await load(store, devices=frozenset({"cam-2"}))).devices
        assert not await _answered(store, MANY[0])

        await _pages(store, "max_page_count = 1000000")
        await store.transact(work)
        assert await _answered(store, MANY[-1])


@pytest.mark.parametrize("meddle", [at_insert, at_commit])
async def test_a_server_without_room_is_unavailable_and_nothing_is_saved(
    store: SqlStore, meddle: Callable[[SqlStore, str], Awaitable[None]]
) -> None:
    full = "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'"
    await meddle(store, full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        await begin(store, a_stream())
    await no_more(store)
    assert not (await load(store, devices=frozenset({"cam-1"}))).devices
    await begin(store, a_stream())


async def test_a_statement_that_takes_too_long_is_unavailable(url: str, store: SqlStore) -> None:
    await at_insert(store, "PERFORM pg_sleep(60)")
    async with opened_store(url, options=StoreOptions(statement_timeout_s=1)) as hasty:
        with pytest.raises(StoreUnavailable, match="statement timeout"):
            await begin(hasty, a_stream())
        assert not (await load(hasty, devices=frozenset({"cam-1"}))).devices


async def test_whom_the_database_chooses_in_a_deadlock_has_a_conflict(url: str, store: SqlStore) -> None:
    await load(store, creating=frozenset({"cam-1", "cam-2"}))
    lock = "SELECT FROM devices WHERE id = '{}' FOR UPDATE"

    # Not the other one: it would look for a deadlock later.
    others = ["SET LOCAL deadlock_timeout = '60s'", *(lock.format(device_id) for device_id in ("cam-2", "cam-1"))]
    async with opened_store(url) as onlooker, asyncio.TaskGroup() as tasks:

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(devices=frozenset({"cam-1"})))
            tasks.create_task(run_beside(store, *others))
            await waits_for_a_lock(onlooker)
            await transaction.load(Wanted(devices=frozenset({"cam-2"})))

        with pytest.raises(StoreConflict, match="deadlock"):
            await store.transact(work)
    await begin(store, a_stream())


@pytest.mark.parametrize(
    "meddling",
    [
        "ALTER TABLE streams RENAME COLUMN code TO kode",
        "ALTER TABLE handled_commands RENAME TO answered_commands",
        "ALTER TABLE workers DROP CONSTRAINT pk_workers",
        "ALTER TABLE streams ALTER COLUMN version TYPE bigint",
    ],
)
async def test_a_schema_that_is_not_ours_is_unavailable_and_no_commands_fault(
    store: SqlStore, meddling: str
) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.load(Wanted(creating=frozenset({"cam-1"}), codes=frozenset({"AAAA1111"})))
        await transaction.sign_in("a", AT)
        await transaction.save(Changes(at=AT, handled=[a_handled()]))

    await store.transact(lambda transaction: transaction.load(Wanted(codes=frozenset({"AAAA1111"}))))
    await begin(store, a_stream("cam-9", "AAAA1111"))
    await load(store, codes=frozenset({"AAAA1111"}))
    await run_beside(store, meddling)
    with pytest.raises(StoreUnavailable):
        await store.transact(work)


async def test_a_user_without_the_right_is_unavailable(url: str, store: SqlStore) -> None:
    role = "CREATE ROLE poor LOGIN PASSWORD 'poor' CONNECTION LIMIT 1"
    await run_beside(
        store, role, "GRANT USAGE ON SCHEMA public TO poor", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO poor"
    )
    place = url.rpartition("@")[2]
    try:
        async with opened_store(f"postgresql://poor:poor@{place}") as poor:
            with pytest.raises(StoreUnavailable, match="permission denied"):
                await load(poor, creating=frozenset({"cam-1"}))
            async with opened_store(f"postgresql://poor:poor@{place}") as one_too_many:
                with pytest.raises(StoreUnavailable, match="too many connections"):
                    await load(one_too_many)
    finally:
        await run_beside(store, "DROP OWNED BY poor", "DROP ROLE poor")


async def test_a_connection_that_somebody_else_holds_is_waited_for_within_the_deadline(
    url: str,
) -> None:
    async with made_store(url, options=StoreOptions(transaction_timeout_s=1)) as hasty:
        async with hasty._engine.connect():
            with pytest.raises(StoreUnavailable, match="longer than 1 s"):
                await load(hasty)
        await begin(hasty, a_stream())


async def test_a_server_that_is_killed_in_a_transaction_is_unavailable_until_it_is_back(
    postgres: PrivatePostgres, store: SqlStore
) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.load(Wanted(creating=frozenset({"cam-1"})))
        await asyncio.to_thread(postgres.kill)
        await transaction.save(Changes(at=AT, new_streams=[a_stream()]))

    try:
        with pytest.raises(StoreUnavailable):
            await store.transact(work)
        with pytest.raises(StoreUnavailable):
            await load(store)
    finally:
        await asyncio.to_thread(postgres.start)
    assert not (await load(store, devices=frozenset({"cam-1"}))).devices
    await begin(store, a_stream())


async def test_after_a_commit_whose_answer_was_lost_the_work_finds_its_outcome(url: str, store: SqlStore) -> None:
    handled, stream = a_handled(), a_stream()

    async def work(transaction: Transaction) -> str:
        wanted = Wanted(creating=frozenset({"cam-1"}), keys=frozenset({handled.identity.key}))
        if (await transaction.load(wanted)).handled:
            return "found"
        await transaction.save(Changes(at=AT, new_streams=[stream], handled=[handled]))
        return "made"

    async with LostAnswer(url) as line, opened_store(line.url) as far:
        await load(far)
        line.arm()
        with pytest.raises(CommitUnknown):
            await far.transact(work)
        assert line.lost == 1
        assert await far.transact(work) == "found"
        assert await far.transact(work) == "found"
    assert await _answered(store, handled)


async def test_after_a_commit_that_never_was_the_work_is_done_anew(store: SqlStore) -> None:
    await at_commit(store, "PERFORM pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CommitUnknown):
        await begin(store, a_stream())
    await no_more(store)
    await begin(store, a_stream())
    await save(store, Changes(at=AT, handled=[a_handled()]))
