"""The connection that PostgreSQL's store keeps between commands: it is lent to transactions, and sessions end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest

from devtools.postgres import PrivatePostgres
from tests.support.beside import at_commit, at_insert, end_sessions, no_more, run_beside, until
from tests.support.store_suite import PATIENCE_S, a_handled, a_stream, begin, load
from tests.support.store_suite_attempt import attempted, begun, of, seen, to_create
from tests.support.stores import made_store, opened_store
from worker.service.ports import Attempt, CommitUnknown, ServiceError, StoreConflict, StoreUnavailable, Transaction
from worker.service.stored import Wanted
from worker.sql.engine import StoreOptions
from worker.sql.store import SqlStore

MINE: Final = a_handled("mine")


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    async with made_store(url, options=StoreOptions(transaction_timeout_s=2)) as store:
        yield store


async def _is_saved(store: SqlStore) -> None:
    await attempted(store, of("cam-9"), begun(a_stream("cam-9", "SSSS0000"))[0])


async def _only_looks(store: SqlStore) -> None:
    await seen(store, to_create())


async def _is_a_conflict(store: SqlStore) -> None:
    await begin(store, a_stream("cam-9", "SSSS0000"))
    with pytest.raises(StoreConflict):
        await attempted(store, to_create(), begun(a_stream(code="SSSS0000"))[0])


async def _raises(store: SqlStore) -> None:
    async def work(attempt: Attempt) -> None:
        await attempt.load(to_create())
        raise LookupError

    with pytest.raises(LookupError):
        await store.attempt(work)


async def _loses_its_session(store: SqlStore) -> None:
    await seen(store, to_create())
    await end_sessions(store)
    with pytest.raises(StoreUnavailable):
        await seen(store, to_create())


async def _loses_its_session_while_it_saves(store: SqlStore) -> None:
    await at_insert(store, "PERFORM pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CommitUnknown):
        await attempted(store, to_create(), begun(a_stream())[0])
    await no_more(store)


async def _is_not_answered(store: SqlStore) -> None:
    await at_insert(store, "PERFORM pg_sleep(60)")
    with pytest.raises(CommitUnknown):
        await attempted(store, to_create(), begun(a_stream())[0])
    await run_beside(store, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    await no_more(store)


@pytest.mark.parametrize(
    "became",
    [
        _is_saved,
        _only_looks,
        _is_a_conflict,
        _raises,
        _loses_its_session,
        _loses_its_session_while_it_saves,
        _is_not_answered,
    ],
    ids=lambda became: became.__name__.strip("_").replace("_", " "),
)
async def test_whatever_became_of_an_attempt_the_next_transaction_is_one(
    store: SqlStore, became: Callable[[SqlStore], Awaitable[None]]
) -> None:
    """The two share a connection, on which a statement alone commits itself for the one and not for the other."""
    await became(store)
    changes, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])

    async def work(transaction: Transaction) -> None:
        await transaction.load(Wanted(creating=frozenset({"cam-1"})))
        await transaction.save(changes)
        raise LookupError("mine")

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(LookupError, match="mine"):
            await store.transact(work)
    loaded = await load(store, codes=frozenset({"MMMM0000"}), keys=frozenset({MINE.identity.key}))
    assert not loaded.streams
    assert not loaded.handled


async def test_what_is_kept_is_one_session_and_closing_ends_it(store: SqlStore, url: str) -> None:
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kept' AND state = 'idle'"
    async with opened_store(url, options=StoreOptions(application_name="kept")) as keeping:
        for _ in range(3):
            await seen(keeping, of("cam-1"))
        assert await run_beside(store, mine) == 1
    await until(store, mine.replace("count(*)", "count(*) = 0"))


async def test_a_stale_statement_after_a_migration_makes_an_attempt_unavailable_once(store: SqlStore) -> None:
    await attempted(store, to_create(), begun(a_stream())[0])
    await seen(store, of("cam-1"))
    await run_beside(store, "ALTER TABLE streams ALTER COLUMN version TYPE bigint")
    with pytest.raises(StoreUnavailable):
        await seen(store, of("cam-1"))
    assert (await seen(store, of("cam-1"))).streams


@pytest.mark.parametrize(
    ("do", "error"),
    [
        ("RAISE unique_violation", StoreConflict),
        ("RAISE disk_full", StoreUnavailable),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", CommitUnknown),
    ],
)
async def test_what_goes_wrong_in_the_commit_that_nobody_sends_is_an_error_too(
    store: SqlStore, do: str, error: type[ServiceError]
) -> None:
    """By then the database has said that the statement is done."""
    await at_commit(store, do)
    with pytest.raises(error):
        await attempted(store, to_create(handled=MINE), begun(a_stream(), handled=[MINE])[0])
    await no_more(store)
    assert not (await load(store, devices=frozenset({"cam-1"}), keys=frozenset({MINE.identity.key}))).handled


async def test_a_server_that_has_become_a_standby_answers_no_command() -> None:
    """It can be read, but what it shows may be long past."""
    with PrivatePostgres(settings={"fsync": "off"}) as server:
        server.create_database("streams")
        async with made_store(server.url("streams")) as store:
            await attempted(store, to_create(), begun(a_stream())[0])
            folder = await run_beside(store, "SELECT current_setting('data_directory')")
            await run_beside(store, f"COPY (SELECT) TO '{folder}/standby.signal'")
        await asyncio.to_thread(server.restart)
        async with opened_store(server.url("streams")) as store:
            assert await run_beside(store, "SELECT pg_is_in_recovery()")
            for _ in range(2):
                with pytest.raises(StoreUnavailable):
                    await seen(store, of("cam-1"))
            await run_beside(store, "SELECT pg_promote()")
            assert (await seen(store, of("cam-1"))).streams
