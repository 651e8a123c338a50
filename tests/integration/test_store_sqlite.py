"""What only SQLite does: how its connections are set up, and how it says no."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import StatementError

from tests.support.store_suite import AT, LATER, a_handled, a_stream, an_event, begin, load, save
from tests.support.stores import made_store, opened_store
from worker.domain.roster import Device
from worker.service.ports import StoreUnavailable, Transaction
from worker.service.stored import Changes, Wanted
from worker.sql.engine import StoreOptions
from worker.sql.store import SqlStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a" / "new" / "folder" / "streams.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqlStore]:
    async with made_store(f"sqlite:///{file}") as store:
        yield store


def _set_on_connect(store: SqlStore, pragma: str) -> None:
    def run(connection: Any, _: Any) -> None:
        connection.cursor().execute(f"PRAGMA {pragma}")

    event.listen(store._engine.sync_engine, "connect", run)


async def test_the_folder_is_made(store: SqlStore, file: Path) -> None:
    await store.ping()
    assert await asyncio.to_thread(file.is_file)


async def test_the_pipelines_connection_is_durable_and_strict(store: SqlStore) -> None:
    durable = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    expected = durable | {"busy_timeout": 250, "cache_size": -16_384, "wal_autocheckpoint": 10_000}
    async with store._engine.connect() as connection:
        seen = {name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in expected}
    assert seen == expected


async def test_readers_cannot_write_and_do_not_wait_for_the_pipeline(store: SqlStore) -> None:
    assert store._reader
    async with store._engine.begin() as writing:
        await writing.execute(text("INSERT INTO devices (id, sequence) VALUES ('cam-1', 0)"))
        await asyncio.wait_for(store.ping(), timeout=60)
        async with store._reader.connect() as reading:
            assert (await reading.execute(text("SELECT count(*) FROM devices"))).scalar_one() == 0
            assert (await reading.execute(text("PRAGMA query_only"))).scalar_one() == 1


async def test_a_file_that_another_writes_to_is_unavailable_at_once_and_back_later(
    store: SqlStore, file: Path
) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="locked"):
        await begin(store, a_stream())
    assert time.monotonic() - began < 4, "the driver's own patience is five seconds"
    other.rollback()
    other.close()
    await begin(store, a_stream())


async def test_a_full_disk_is_unavailable(store: SqlStore) -> None:
    await store._engine.dispose()
    _set_on_connect(store, "max_page_count = 1")
    with pytest.raises(StoreUnavailable, match="full"):
        await save(store, Changes(at=AT, handled=[a_handled(f"m-{n}") for n in range(2000)]))


async def test_a_file_that_may_not_be_written_is_unavailable(store: SqlStore) -> None:
    await store._engine.dispose()
    _set_on_connect(store, "query_only = ON")
    with pytest.raises(StoreUnavailable, match="readonly"):
        await begin(store, a_stream())


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    async with opened_store(f"sqlite:///{tmp_path}") as store:
        with pytest.raises(StoreUnavailable, match="unable to open"):
            await load(store)
        with pytest.raises(StoreUnavailable):
            await store.ping()


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with opened_store(f"sqlite:///{tmp_path}/file/below/streams.db") as store:
        with pytest.raises(StoreUnavailable, match="Not a directory"):
            await load(store)


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader, " * 500)
    async with opened_store(f"sqlite:///{file}") as store:
        with pytest.raises(StoreUnavailable, match="not a database"):
            await load(store)


async def test_a_database_without_tables_does_not_answer_a_ping(tmp_path: Path) -> None:
    async with opened_store(f"sqlite:///{tmp_path}/empty.db") as store:
        with pytest.raises(StoreUnavailable):
            await store.ping()


async def test_times_are_text_that_sorts_as_time_does(store: SqlStore, file: Path) -> None:
    await begin(store, a_stream())
    with sqlite3.connect(file) as looking:
        assert looking.execute("SELECT created_at FROM streams").fetchall() == [("2026-01-12T09:30:00.123456Z",)]
    looking.close()


async def test_an_event_keeps_the_moment_it_was_first_marked_at(store: SqlStore, file: Path) -> None:
    event = await begin(store, a_stream())
    await save(store, Changes(at=AT, published=[event.id]))
    await save(store, Changes(at=LATER, published=[event.id]))
    with sqlite3.connect(file) as looking:
        marks = looking.execute("SELECT published_at FROM stream_events").fetchall()
    looking.close()
    assert marks == [("2026-01-12T09:30:00.123456Z",)]


async def test_a_worker_that_was_not_seen_for_a_day_is_forgotten(store: SqlStore, file: Path) -> None:
    async def sign_in(name: str, hours: int) -> None:
        await store.transact(lambda transaction: transaction.sign_in(name, AT + timedelta(hours=hours)))

    for name, hours in (("gone", 0), ("a", 0), ("b", 1), ("a", 2), ("c", 25)):
        await sign_in(name, hours)
    with sqlite3.connect(file) as looking:
        seen = looking.execute("SELECT name, seen_at FROM workers ORDER BY name").fetchall()
    looking.close()
    assert seen == [
        ("a", "2026-01-12T11:30:00.123456Z"),
        ("b", "2026-01-12T10:30:00.123456Z"),
        ("c", "2026-01-13T10:30:00.123456Z"),
    ]


async def test_two_workers_on_one_file_wait_for_each_other(file: Path) -> None:
    """A transaction that read before another wrote could not write any more, however patient it is."""

    async def count(transaction: Transaction) -> int:
        (device,) = (await transaction.load(Wanted(devices=frozenset({"cam-1"})))).devices
        changed = Device(id="cam-1", sequence=device.sequence + 1)
        await transaction.save(Changes(at=AT, devices=[changed]))
        return changed.sequence

    async def worker(store: SqlStore) -> list[int]:
        return [await store.transact(count) for _ in range(20)]

    url, patient = f"sqlite:///{file}", StoreOptions(busy_timeout_s=10)
    async with made_store(url, options=patient) as first, opened_store(url, options=patient) as second:
        await load(first, creating=frozenset({"cam-1"}))
        counted = await asyncio.gather(worker(first), worker(second))
    assert sorted(counted[0] + counted[1]) == list(range(1, 41))


async def test_work_that_takes_for_ever_is_given_up_and_the_next_goes_through(file: Path) -> None:
    async with made_store(f"sqlite:///{file}", options=StoreOptions(transaction_timeout_s=1)) as store:
        with pytest.raises(StoreUnavailable, match="longer than 1 s"):
            await store.transact(lambda _: asyncio.Event().wait())
        await begin(store, a_stream())


async def test_a_time_without_a_zone_is_a_defect_and_not_guessed(store: SqlStore) -> None:
    with pytest.raises(StatementError, match="without a time zone"):
        await save(store, Changes(at=AT, events=[an_event(at=AT.replace(tzinfo=None))]))
