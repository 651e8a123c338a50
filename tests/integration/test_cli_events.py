"""`stream-worker events` on real databases of both kinds."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from devtools.ports import free_port
from migrations import runner
from tests.support.command_line import Ended, stream_worker, stream_worker_meanwhile
from tests.support.store_suite import LATER, load
from tests.support.store_suite_relay import LEASE, NEXT_LOOK, claim, claimed, leave, park, publish, refuse
from tests.support.stores import opened_store
from worker.sql.store import SqlStore


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    await asyncio.to_thread(runner.upgrade, database_url)
    async with opened_store(database_url) as store:
        yield store


async def events(database_url: str, *arguments: str) -> Ended:
    return await stream_worker_meanwhile("events", *arguments, STREAMS_DATABASE_URL=database_url)


async def test_where_nothing_is_parked_both_say_so(database_url: str, store: SqlStore) -> None:
    await leave(store, ("cam-1", 1))
    await refuse(store, {"cam-1": 1})
    shown = await events(database_url, "parked")
    assert (shown.code, shown.out, shown.err) == (0, "nothing is parked\n", "")
    as_json = await events(database_url, "parked", "--json")
    assert (as_json.code, as_json.out, as_json.err) == (0, "", "nothing is parked\n")
    retried = await events(database_url, "retry", "--all")
    assert (retried.code, retried.out, retried.err) == (0, "nothing is parked\n", "")


async def test_a_parked_device_is_shown_with_all_that_one_wants_to_know(
    database_url: str, store: SqlStore
) -> None:
    event, *_ = await leave(store, ("cam-1", 3), ("cam-1", 4), ("cam-1", 5), ("cam-2", 1))
    await park(store, "cam-1", 3)
    shown = await events(database_url, "parked")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        f"cam-1: event 3 (stream.created {event.id}) was refused in 3 rounds; parked since 2026-01-12T09:30:05Z, "
        "next try at 2026-01-12T10:30:05Z; 2 events wait behind it\n"
    )
    as_json = await events(database_url, "parked", "--json")
    assert json.loads(as_json.out) == {
        "device_id": "cam-1",
        "sequence": 3,
        "type": "stream.created",
        "event_id": str(event.id),
        "refusals": 3,
        "parked_at": "2026-01-12T09:30:05Z",
        "retry_at": "2026-01-12T10:30:05Z",
        "behind": 2,
    }


async def test_a_device_that_was_tried_again_in_vain_is_parked_since_the_first_time(
    database_url: str, store: SqlStore
) -> None:
    await leave(store, ("cam-1", 1))
    await park(store, "cam-1")
    await refuse(store, {"cam-1": 1}, at=NEXT_LOOK)
    shown = json.loads((await events(database_url, "parked", "--json")).out)
    assert (shown["refusals"], shown["parked_at"]) == (4, "2026-01-12T09:30:05Z")
    assert shown["retry_at"] == "2026-01-12T10:30:15Z"


async def test_more_than_the_limit_are_counted(database_url: str, store: SqlStore) -> None:
    ids = [f"cam-{number}" for number in range(4)]
    await leave(store, *((device_id, 1) for device_id in ids))
    for device_id in ids:
        await park(store, device_id)
    shown = await events(database_url, "parked", "--json", "--limit", "3")
    assert [json.loads(line)["device_id"] for line in shown.out.splitlines()] == ids[:3]
    assert shown.err == "1 more are parked; --limit shows more\n"


async def test_who_looks_disturbs_nobody(database_url: str, store: SqlStore) -> None:
    await leave(store, ("cam-1", 1))
    await park(store, "cam-1")
    async with store._engine.begin():  # a worker in the middle of a batch; on SQLite nobody else can write now
        assert (await events(database_url, "parked")).code == 0
        assert (await events(database_url, "retry", "--all", "--dry-run")).code == 0
    assert (await load(store, devices=frozenset({"cam-1"}))).parked


async def test_a_device_that_is_retried_is_any_workers_at_once_and_counted_anew(
    database_url: str, store: SqlStore
) -> None:
    await leave(store, ("cam-1", 1), ("cam-2", 1))
    await claim(store, "a")
    await park(store, "cam-1")
    await park(store, "cam-2")
    assert await claimed(store, "b", now=NEXT_LOOK) == []

    retried = await events(database_url, "retry", "cam-1")
    assert (retried.code, retried.out, retried.err) == (0, "cam-1: will be tried again\n", "")
    assert (await load(store, devices=frozenset({"cam-1", "cam-2"}))).parked == {"cam-2"}
    assert await claimed(store, "b", now=NEXT_LOOK) == [("cam-1", 1)]
    assert await refuse(store, {"cam-1": 1}) == []


async def test_all_are_retried_and_a_dry_run_only_says_which(database_url: str, store: SqlStore) -> None:
    await leave(store, ("cam-1", 1), ("cam-2", 1), ("cam-3", 1))
    await park(store, "cam-2")
    await park(store, "cam-1")
    dry = await events(database_url, "retry", "--all", "--dry-run")
    assert (dry.code, dry.out) == (0, "cam-1: would be tried again\ncam-2: would be tried again\n")
    wet = await events(database_url, "retry", "--all")
    assert (wet.code, wet.out) == (0, "cam-1: will be tried again\ncam-2: will be tried again\n")
    assert (await events(database_url, "parked")).out == "nothing is parked\n"
    assert len(await claimed(store, "b", now=LATER + LEASE)) == 3


async def test_a_device_that_is_not_parked_is_named_and_the_others_are_retried(
    database_url: str, store: SqlStore
) -> None:
    done, *_ = await leave(store, ("done", 1), ("cam-1", 1), ("refused", 1))
    for device_id in ("done", "cam-1"):
        await park(store, device_id)
    await publish(store, done)
    await refuse(store, {"refused": 1})
    retried = await events(database_url, "retry", "no-such", "cam-1", "refused", "done")
    assert (retried.code, retried.out) == (1, "cam-1: will be tried again\n")
    assert retried.err == "done: is not parked\nno-such: is not parked\nrefused: is not parked\n"
    assert await refuse(store, {"refused": 1}, at=LATER + timedelta(seconds=1)) == []
    assert await refuse(store, {"refused": 1}, at=LATER + timedelta(seconds=2)) == ["refused"], "its count stays"


@pytest.mark.parametrize("arguments", [[], ["cam-1", "--all"]])
def test_retrying_wants_either_devices_or_all_of_them(arguments: list[str]) -> None:
    ended = stream_worker("events", "retry", *arguments)
    assert ended.code == 2
    assert "Name the devices, or give --all." in ended.err


@pytest.mark.parametrize("arguments", [["parked"], ["retry", "--all"]])
async def test_a_database_that_is_not_migrated_is_78_with_what_to_do(
    database_url: str, arguments: list[str]
) -> None:
    await asyncio.to_thread(runner.upgrade, database_url, "0001")
    ended = await events(database_url, *arguments)
    assert (ended.code, ended.out) == (78, "")
    assert "Run `stream-worker db upgrade`" in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["parked"], ["retry", "--all"]])
def test_a_database_that_is_away_is_69_and_no_password_is_told(arguments: list[str]) -> None:
    url = f"postgresql+asyncpg://worker:hunter2@127.0.0.1:{free_port()}/streams"
    ended = stream_worker("events", *arguments, STREAMS_DATABASE_URL=url)
    assert (ended.code, ended.out) == (69, "")
    assert len(ended.err.splitlines()) == 1
    assert "hunter2" not in ended.err


async def test_a_file_that_nobody_else_may_write_to_for_long_is_69(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/streams.db"
    await asyncio.to_thread(runner.upgrade, url)
    async with opened_store(url) as store:
        await leave(store, ("cam-1", 1))
        await park(store, "cam-1")
    with sqlite3.connect(tmp_path / "streams.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = await events(url, "retry", "--all")
        other.rollback()
    other.close()
    assert (ended.code, ended.out) == (69, "")
    assert "of STREAMS_DATABASE_URL cannot be used: database is locked" in ended.err


async def test_looking_makes_no_file(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "streams.db"
    assert (await events(f"sqlite+aiosqlite:///{file}", "parked")).code == 78
    assert not await asyncio.to_thread(file.parent.exists)
