"""What only PostgreSQL does: several workers at once, sessions that end, and a server that is away."""

import asyncio
import random
import time
import traceback
from collections.abc import Iterator
from typing import Self

import pytest
from sqlalchemy import text
from typing_extensions import override

from devtools.ports import free_port
from devtools.postgres import PrivatePostgres
from tests.support.beside import HERE, at_commit, end_sessions, run_beside, until, waits_for_a_lock
from tests.support.store_suite import AT, PATIENCE_S, a_handled, a_stream, an_event, begin, load, save
from tests.support.stores import opened_store
from worker.domain.roster import Device
from worker.service.ports import CommitUnknown, StoreConflict, StoreUnavailable, Transaction
from worker.service.stored import Changes, Loaded, Wanted
from worker.sql.engine import StoreOptions
from worker.sql.store import SqlStore


async def test_the_sessions_have_limits(store: SqlStore) -> None:
    expected = {
        "application_name": "stream-worker",
        "statement_timeout": "10s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "15s",
        "tcp_keepalives_idle": "10",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        "transaction_isolation": "read committed",
    }
    async with store._engine.connect() as connection:
        seen = {name: (await connection.execute(text(f"SHOW {name}"))).scalar_one() for name in expected}
    assert seen == expected


async def test_two_workers_that_want_each_others_devices_do_not_deadlock(url: str, store: SqlStore) -> None:
    chance = random.Random(7)
    rounds = 30
    ids = [f"cam-{n}" for n in range(6)]

    async def worker(mine: SqlStore, name: str) -> None:
        for number in range(rounds):
            chosen = chance.sample(ids, 4) + chance.sample([f"{number}-{n}" for n in range(6)], 4)
            chance.shuffle(chosen)
            wanted = Wanted(devices=frozenset(chosen[:4]), creating=frozenset(chosen[4:]))

            async def work(transaction: Transaction, wanted: Wanted = wanted, number: int = number) -> None:
                loaded = await transaction.load(wanted)
                published = [event.id for event in loaded.unpublished]
                handled = [a_handled(f"{name} {number}")]
                chance.shuffle(published)
                await transaction.save(
                    Changes(at=AT, devices=loaded.devices, handled=handled, published=published)
                )

            await mine.transact(work)

    await save(store, Changes(at=AT, events=[an_event(id_, 1) for id_ in ids]))
    async with opened_store(url) as second, opened_store(url) as third, asyncio.timeout(60):
        await asyncio.gather(worker(store, "a"), worker(second, "b"), worker(third, "c"))


async def test_devices_are_made_in_sorted_order_whatever_the_order_they_come_in(url: str, store: SqlStore) -> None:
    await run_beside(store, *_slowly("INSERT", "devices"))
    ids = [f"cam-{n}" for n in range(10)]

    async def make(mine: SqlStore, order: list[str], both: asyncio.Barrier) -> None:
        async def work(transaction: Transaction) -> None:
            await both.wait()
            await transaction.load(Wanted(creating=_InOrder(order)))

        await mine.transact(work)

    async with opened_store(url) as second, asyncio.timeout(PATIENCE_S):
        both = asyncio.Barrier(2)
        await asyncio.gather(make(store, ids, both), make(second, ids[::-1], both))


class _InOrder(frozenset[str]):
    """A set that is walked in an order of our choice: any order can come."""

    def __new__(cls, order: list[str]) -> Self:
        self = super().__new__(cls, order)
        self.order = order
        return self

    order: list[str]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self.order)


@pytest.mark.parametrize("what", ["messages", "marks"])
async def test_two_workers_that_write_the_same_in_another_order_do_not_deadlock(
    url: str, store: SqlStore, what: str
) -> None:
    events = [an_event("cam-1", n + 1) for n in range(10)]
    messages = [a_handled(f"m-{n}") for n in range(10)]
    await save(store, Changes(at=AT, events=events))
    await run_beside(store, *_slowly("INSERT", "handled_commands"), *_slowly("UPDATE", "stream_events"))

    async def write(mine: SqlStore, both: asyncio.Barrier, step: int) -> None:
        async def work(transaction: Transaction) -> None:
            await both.wait()
            if what == "messages":
                await transaction.save(Changes(at=AT, handled=messages[::step]))
            else:
                await transaction.save(Changes(at=AT, published=[event.id for event in events[::step]]))

        await mine.transact(work)

    async with opened_store(url) as second, asyncio.timeout(PATIENCE_S):
        both = asyncio.Barrier(2)
        ends = await asyncio.gather(write(store, both, 1), write(second, both, -1), return_exceptions=True)
    failures = [str(end) for end in ends if end is not None]
    assert len(failures) == (1 if what == "messages" else 0)
    assert not any("deadlock" in failure for failure in failures)


def _slowly(verb: str, table: str) -> list[str]:
    """Make each row of a bulk statement take a while, so that two of them meet in the middle."""
    body = "BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END"
    return [
        f"CREATE FUNCTION slowly_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$",
        f"CREATE TRIGGER slowly AFTER {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION slowly_{table}()",
    ]


@pytest.mark.parametrize("device", ["new", "known"])
async def test_who_waited_for_a_device_sees_what_the_winner_committed(
    url: str, store: SqlStore, device: str
) -> None:
    stream, event, handled = a_stream(), an_event(), a_handled()
    wanted = Wanted(creating=frozenset({"cam-1"}), keys=frozenset({handled.identity.key}))
    if device == "known":
        await load(store, creating=frozenset({"cam-1"}))

    async def second_worker(transaction: Transaction) -> Loaded:
        return await transaction.load(wanted)

    async with opened_store(url) as other, asyncio.timeout(PATIENCE_S):

        async def first_worker(transaction: Transaction) -> asyncio.Task[Loaded]:
            await transaction.load(wanted)
            late = asyncio.create_task(other.transact(second_worker))
            await waits_for_a_lock(store)
            changed = Device(id="cam-1", sequence=1, latest_stream_id=stream.id)
            await transaction.save(
                Changes(at=AT, devices=[changed], new_streams=[stream], events=[event], handled=[handled])
            )
            return late

        loaded = await (await store.transact(first_worker))
    assert loaded == Loaded(
        devices=[Device(id="cam-1", sequence=1, latest_stream_id=stream.id)],
        streams=[stream],
        handled={handled.identity.key: handled},
        unpublished=[event],
    )


async def test_a_device_that_another_worker_holds_too_long_is_unavailable(url: str, store: SqlStore) -> None:
    async with opened_store(url, options=StoreOptions(lock_timeout_s=0.1)) as impatient:

        async def hold(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                await load(impatient, creating=frozenset({"cam-1"}))

        await store.transact(hold)
        assert (await load(impatient, creating=frozenset({"cam-1"}))).devices


async def test_a_session_that_is_ended_by_an_administrator_is_unavailable_and_then_made_anew(
    store: SqlStore,
) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.load(Wanted(creating=frozenset({"cam-1"})))
        await end_sessions(store)
        await transaction.save(Changes(at=AT, handled=[a_handled()]))

    with pytest.raises(StoreUnavailable):
        await store.transact(work)
    await begin(store, a_stream())


async def test_the_works_own_error_passes_through_even_where_there_is_no_session_to_roll_back(
    postgres: PrivatePostgres, url: str, store: SqlStore
) -> None:
    async with opened_store(url, options=StoreOptions(statement_timeout_s=1)) as hasty:

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            postgres.pause()
            raise LookupError("mine")

        try:
            with pytest.raises(LookupError, match="mine"):
                await hasty.transact(work)
        finally:
            postgres.resume()
    await begin(store, a_stream())


async def test_a_transaction_left_idle_is_ended_by_the_database(url: str, store: SqlStore) -> None:
    options = StoreOptions(idle_in_transaction_timeout_s=0.1)
    async with opened_store(url, options=options) as sleepy:

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            idle = "SELECT count(*) = 0 FROM pg_stat_activity WHERE state = 'idle in transaction' AND "
            await until(store, idle + HERE)
            await transaction.save(Changes(at=AT, new_streams=[a_stream()]))

        with pytest.raises(StoreUnavailable):
            await sleepy.transact(work)
    assert not (await load(store, devices=frozenset({"cam-1"}))).devices


async def test_a_session_that_is_lost_during_commit_leaves_it_unknown(store: SqlStore) -> None:
    await at_commit(store, "PERFORM pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CommitUnknown):
        await begin(store, a_stream())
    assert not (await load(store, devices=frozenset({"cam-1"}))).streams


async def test_a_commit_that_outlasts_the_drivers_patience_is_unknown(url: str, store: SqlStore) -> None:
    await at_commit(store, "PERFORM pg_sleep(60)")
    async with opened_store(url, options=StoreOptions(statement_timeout_s=1)) as hasty:
        with pytest.raises(CommitUnknown, match="TimeoutError"):
            await begin(hasty, a_stream())
        assert not (await load(hasty, devices=frozenset({"cam-1"}))).streams


async def test_a_commit_that_nobody_answers_is_unknown(url: str, store: SqlStore) -> None:
    await at_commit(store, "PERFORM pg_sleep(60)")
    async with opened_store(url, options=StoreOptions(commit_timeout_s=1)) as hasty:
        with pytest.raises(CommitUnknown, match="longer than 1 s"):
            await begin(hasty, a_stream())
        assert not (await load(hasty)).streams


async def test_a_conflict_that_shows_at_commit_is_a_conflict(store: SqlStore) -> None:
    await run_beside(store, "ALTER TABLE streams ADD CONSTRAINT late UNIQUE (code) DEFERRABLE INITIALLY DEFERRED")
    await run_beside(store, "ALTER TABLE streams DROP CONSTRAINT uq_streams_code")
    await begin(store, a_stream("cam-1"))
    with pytest.raises(StoreConflict):
        await begin(store, a_stream("cam-2"))
    assert not (await load(store, devices=frozenset({"cam-2"}))).streams


async def test_work_that_takes_for_ever_is_given_up_and_the_next_goes_through(url: str, store: SqlStore) -> None:
    async with opened_store(url, options=StoreOptions(transaction_timeout_s=1)) as hasty:

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            await asyncio.Event().wait()

        with pytest.raises(StoreUnavailable, match="longer than 1 s"):
            await hasty.transact(work)
        await begin(store, a_stream())
        assert (await load(hasty, devices=frozenset({"cam-1"}))).streams


@pytest.mark.parametrize(
    "options",
    [StoreOptions(transaction_timeout_s=1, statement_timeout_s=60), StoreOptions(statement_timeout_s=1)],
    ids=["ours", "driver"],
)
async def test_a_server_that_freezes_is_given_up_within_the_deadline(
    postgres: PrivatePostgres, url: str, store: SqlStore, options: StoreOptions
) -> None:
    async with opened_store(url, options=options) as hasty:

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            postgres.pause()
            await transaction.load(Wanted(creating=frozenset({"cam-2"})))

        began = time.monotonic()
        try:
            with pytest.raises(StoreUnavailable):
                await hasty.transact(work)
        finally:
            postgres.resume()
        assert time.monotonic() - began < 30, "the other deadlines are a minute"
        assert not (await load(hasty, devices=frozenset({"cam-1", "cam-2"}))).devices
    await begin(store, a_stream())


async def test_a_stale_statement_after_a_migration_is_unavailable_once(store: SqlStore) -> None:
    await begin(store, a_stream())
    await load(store, devices=frozenset({"cam-1"}))
    await run_beside(store, "ALTER TABLE streams ALTER COLUMN version TYPE bigint")
    with pytest.raises(StoreUnavailable):
        await load(store, devices=frozenset({"cam-1"}))
    assert (await load(store, devices=frozenset({"cam-1"}))).streams


async def test_a_standby_is_unavailable(store: SqlStore, url: str) -> None:
    database = url.rpartition("/")[2]
    await run_beside(store, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    async with opened_store(url) as after_failover:
        with pytest.raises(StoreUnavailable, match="read-only"):
            await begin(after_failover, a_stream())
    await run_beside(store, f"ALTER DATABASE {database} RESET ALL")


async def test_missing_tables_are_unavailable(store: SqlStore) -> None:
    await store.ping()
    await run_beside(store, "DROP TABLE relayed_devices, stream_events, streams, devices")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        await begin(store, a_stream())
    with pytest.raises(StoreUnavailable):
        await store.ping()


async def test_a_defect_of_ours_passes_through_as_it_is(store: SqlStore) -> None:
    with pytest.raises(Exception, match="invalid byte sequence") as raised:
        await load(store, devices=frozenset({"cam\x001"}))
    assert not isinstance(raised.value, StoreUnavailable | StoreConflict | CommitUnknown)
    assert "cam" not in str(raised.value)
    await begin(store, a_stream())


@pytest.mark.parametrize("database", ["postgres", "no_such_database"])
async def test_a_login_that_is_refused_is_unavailable(postgres: PrivatePostgres, database: str) -> None:
    right = postgres.url(database)
    wrong = right if database != "postgres" else right.replace("@", "x@")
    async with opened_store(wrong) as store:
        with pytest.raises(StoreUnavailable):
            await load(store)


async def test_a_server_that_is_away_is_unavailable_and_no_password_is_told() -> None:
    url = f"postgresql://worker:hunter2@127.0.0.1:{free_port()}/streams"
    async with opened_store(url) as store:
        with pytest.raises(StoreUnavailable) as raised:
            await load(store)
        with pytest.raises(StoreUnavailable) as ping_raised:
            await store.ping()
        assert "hunter2" not in f"{store!r} {store._engine!r} {StoreOptions()!r}"
    for error in (raised.value, ping_raised.value):
        assert "hunter2" not in "".join(traceback.format_exception(error))
        assert len(str(error).splitlines()) == 1


async def test_a_server_that_accepts_and_says_nothing_is_unavailable() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = StoreOptions(connect_timeout_s=0.2, ping_timeout_s=0.2)
    async with server, opened_store(f"postgresql://worker@127.0.0.1:{port}/streams", options=options) as store:
        with pytest.raises(StoreUnavailable):
            await load(store)
        with pytest.raises(StoreUnavailable):
            await store.ping()
