"""The private PostgreSQL server: what can be done to it, that nothing of it stays, and where it comes from."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from devtools.failures import CommandFailed
from devtools.postgres import PrivatePostgres
from devtools.postgresql import PostgresqlPrograms, from_wheel, programs_in
from devtools.tree import alive, descendants
from devtools.waiting import seen

GONE_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
PATIENCE_S = 0.5


@pytest.fixture(scope="module")
def server() -> Iterator[PrivatePostgres]:
    """One that these tests may do anything to."""
    with PrivatePostgres() as private:
        private.create_database("kept")
        yield private


@asynccontextmanager
async def connected(server: PrivatePostgres, database: str) -> AsyncIterator[asyncpg.Connection]:
    url = server.url(database).replace("+asyncpg", "")
    connection = await asyncpg.connect(url, timeout=ANSWER_WITHIN_S, command_timeout=ANSWER_WITHIN_S)
    try:
        yield connection
    finally:
        connection.terminate()


async def write(server: PrivatePostgres, table: str) -> None:
    async with connected(server, "kept") as connection:
        await connection.execute(f"CREATE TABLE {table} AS SELECT 42 AS value")


async def read(server: PrivatePostgres, table: str) -> int:
    async with connected(server, "kept") as connection:
        value: int = await connection.fetchval(f"SELECT value FROM {table}")  # noqa: S608 - a name of ours
        return value


def everything(server: PrivatePostgres) -> list[int]:
    return [*server.pids, *(pid for child in server.pids for pid in descendants(child))]


def all_gone(pids: list[int]) -> bool:
    return seen(lambda: not alive(pids), within_s=GONE_WITHIN_S)


async def test_what_was_committed_survives_a_kill_at_the_same_address(server: PrivatePostgres) -> None:
    server.start()
    url = server.url("kept")
    await write(server, "survivor")
    pids = everything(server)
    assert len(pids) > 2
    server.kill()
    assert all_gone(pids)
    server.start()
    assert server.url("kept") == url
    assert await read(server, "survivor") == 42


async def test_a_restart_keeps_the_data_and_leaves_no_old_process(server: PrivatePostgres) -> None:
    server.start()
    await write(server, "veteran")
    pids = everything(server)
    server.restart()
    assert all_gone(pids)
    assert await read(server, "veteran") == 42


async def test_a_paused_server_answers_nothing_on_an_open_connection_until_it_goes_on(
    server: PrivatePostgres,
) -> None:
    server.start()
    async with connected(server, "kept") as connection:
        server.pause()
        answer = asyncio.ensure_future(connection.fetchval("SELECT 42"))
        done, _ = await asyncio.wait([answer], timeout=PATIENCE_S)
        assert not done
        server.resume()
        assert await answer == 42


async def test_a_database_is_made_once_and_dropped_with_its_connections(server: PrivatePostgres) -> None:
    server.start()
    server.create_database("brief")
    with pytest.raises(CommandFailed, match="already exists"):
        server.create_database("brief")
    async with connected(server, "brief") as connection:
        server.drop_database("brief")
        with pytest.raises((asyncpg.PostgresError, OSError)):
            await connection.fetchval("SELECT 42")
    server.drop_database("brief")


async def test_nobody_gets_in_without_the_password(server: PrivatePostgres) -> None:
    server.start()
    url = server.url("kept").replace("+asyncpg", "")
    password = url.rpartition("@")[0].rpartition(":")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url.replace(password, "guess"), timeout=ANSWER_WITHIN_S)


@pytest.fixture
def secluded(tmp_path: Path) -> PostgresqlPrograms:
    """The wheel's programs where only we can get to, as below a home that is closed to others."""
    wheel = from_wheel()
    assert wheel is not None
    assert wheel.site is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in wheel.parts:
        shutil.copytree(wheel.site / part, closed / part, symlinks=True)
    return replace(wheel, folder=closed / wheel.folder.relative_to(wheel.site), site=closed)


async def test_the_wheel_will_do_where_no_server_is_installed(secluded: PostgresqlPrograms) -> None:
    with PrivatePostgres(programs=secluded, settings={"fsync": "off"}) as server:
        server.create_database("kept")
        await write(server, "pioneer")
        assert await read(server, "pioneer") == 42
        pids = everything(server)
    assert all_gone(pids)


def test_a_folder_with_half_of_the_programs_is_passed_over(tmp_path: Path) -> None:
    half, whole = tmp_path / "half", tmp_path / "whole"
    for folder, names in ((half, ["initdb"]), (whole, ["initdb", "postgres", "pg_isready", "createdb", "dropdb"])):
        folder.mkdir()
        for name in names:
            (folder / name).touch(mode=0o755)
    assert os.access(half / "initdb", os.X_OK)
    found = programs_in([half, whole])
    assert found is not None
    assert found.folder == whole
    assert programs_in([half]) is None
