"""The migrations make what the tables say, up and down, on both databases, whoever runs them and from where."""

import asyncio
import os
import sqlite3
import struct
import sys
import traceback
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, text

from devtools.ports import free_port
from devtools.postgres import PrivatePostgres
from migrations import runner
from migrations.database import connected
from tests.support.store_suite import AT, LATER, a_handled, a_stream, an_event, begin, load
from tests.support.store_suite_relay import park
from tests.support.store_suite_upkeep import prune
from tests.support.stores import opened_store
from worker.sql.rows import event_values, handled_values, stream_values
from worker.sql.tables import devices, handled_commands, metadata, stream_events, streams

Schema = list[tuple[Any, ...]]

_FILES: Final = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' ORDER BY type, name"
_COLUMNS: Final = """
    SELECT table_name, ordinal_position, column_name, data_type, collation_name, is_nullable, column_default
    FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> 'alembic_version' ORDER BY 1, 2
"""
_CONSTRAINTS: Final = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> 'alembic_version'::regclass
    ORDER BY 1, 2
"""
_INDEXES: Final = """
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1, 2
"""


async def _upgrade(url: str, revision: str = "head") -> None:
    await asyncio.to_thread(runner.upgrade, url, revision)


async def _downgrade(url: str, revision: str = "base") -> None:
    await asyncio.to_thread(runner.downgrade, url, revision)


async def _current(url: str) -> str | None:
    return await asyncio.to_thread(runner.current, url)


def _schema(connection: Connection) -> Schema:
    """Read everything that the database itself says about our tables."""
    questions = [_FILES] if connection.dialect.name == "sqlite" else [_COLUMNS, _CONSTRAINTS, _INDEXES]
    return [tuple(row) for question in questions for row in connection.execute(text(question))]


async def _schema_of(url: str) -> Schema:
    async with connected(url) as connection:
        return await connection.run_sync(_schema)


async def test_from_empty_equals_the_metadata(database_url: str) -> None:
    await _upgrade(database_url)
    async with connected(database_url) as connection:
        context = await connection.run_sync(MigrationContext.configure)
        assert await connection.run_sync(lambda _: compare_metadata(context, metadata)) == []


async def test_the_database_cannot_tell_the_migrations_from_the_metadata(database_url: str) -> None:
    await _upgrade(database_url)
    async with connected(database_url) as connection:
        migrated = await connection.run_sync(_schema)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        assert migrated == await connection.run_sync(_schema)
    assert len(migrated) > 5


async def test_up_down_up(database_url: str) -> None:
    await _upgrade(database_url)
    async with connected(database_url) as connection:
        first = await connection.run_sync(_schema)
    await _downgrade(database_url)
    assert await _current(database_url) is None
    async with connected(database_url) as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]
    await _upgrade(database_url)
    async with connected(database_url) as connection:
        assert await connection.run_sync(_schema) == first


async def test_each_step_can_be_taken_back_and_taken_again(database_url: str) -> None:
    steps = ["0001", "0002"]
    assert runner.head() == steps[-1], "a new step belongs here"
    schemas: dict[str, Schema] = {}
    for step in steps:
        await _upgrade(database_url, step)
        schemas[step] = await _schema_of(database_url)
    for step in reversed(steps[:-1]):
        await _downgrade(database_url, step)
        assert await _schema_of(database_url) == schemas[step]
    await _upgrade(database_url)
    assert await _schema_of(database_url) == schemas[steps[-1]]


async def test_old_rows_survive_the_second_step_up_and_down(database_url: str) -> None:
    await _upgrade(database_url, "0001")
    stream, handled = a_stream(), a_handled()
    async with opened_store(database_url) as store:
        async with store._engine.begin() as connection:  # as the program of that revision wrote them
            device = {"id": "cam-1", "sequence": 2, "latest_stream_id": stream.id}
            await connection.execute(insert(devices), [device])
            await connection.execute(insert(streams), [stream_values(stream)])
            await connection.execute(insert(handled_commands), [handled_values(handled)])
            events = [event_values(an_event("cam-1", sequence)) for sequence in (1, 2)]
            await connection.execute(insert(stream_events), [events[0] | {"published_at": AT}])
            await connection.execute(insert(stream_events), [events[1]])
        await _upgrade(database_url)
        loaded = await load(store, codes=frozenset({stream.code}), keys=frozenset({handled.identity.key}))
        assert (loaded.streams, list(loaded.handled.values())) == ([stream], [handled])
        assert [event.sequence for event in loaded.unpublished] == [2]
        await park(store, "cam-1", 2)
        assert await prune(store, handled=LATER, events=LATER) == 2
    await _downgrade(database_url, "0001")
    async with connected(database_url) as connection:
        left = (await connection.execute(text("SELECT device_id, sequence FROM stream_events"))).all()
        assert [tuple(row) for row in left] == [("cam-1", 2)]


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    await _upgrade(database_url)
    stream = a_stream()
    async with opened_store(database_url) as store:
        await begin(store, stream)
        await _upgrade(database_url)
        assert (await load(store, codes=frozenset({stream.code}))).streams == [stream]


async def test_the_database_knows_its_revision(database_url: str) -> None:
    assert await _current(database_url) is None
    assert not await asyncio.to_thread(runner.is_current, database_url)
    await _upgrade(database_url)
    assert await _current(database_url) == runner.head()
    assert await asyncio.to_thread(runner.is_current, database_url)


async def test_a_migration_that_fails_leaves_nothing_behind(database_url: str) -> None:
    async with connected(database_url) as connection:
        await connection.execute(text("CREATE TABLE handled_commands (other INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        await _upgrade(database_url)
    async with connected(database_url) as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["handled_commands"]


async def test_workers_that_migrate_at_the_same_time_wait_for_each_other(database_url: str) -> None:
    program = "import sys; from migrations import runner; runner.upgrade(sys.argv[1])"
    async with asyncio.timeout(60):
        workers = [await _python(program, database_url) for _ in range(3)]
        ends = await asyncio.gather(*(worker.communicate() for worker in workers))
    assert [worker.returncode for worker in workers] == [0, 0, 0], ends
    assert await _current(database_url) == runner.head()


async def test_threads_that_migrate_at_the_same_time_wait_for_each_other(database_url: str) -> None:
    await asyncio.gather(*(_upgrade(database_url) for _ in range(4)))
    assert await _current(database_url) == runner.head()


async def test_without_a_url_it_is_the_one_in_the_workers_settings(database_url: str) -> None:
    program = (
        "from alembic import command; from migrations import runner; command.upgrade(runner._config(), 'head')"
    )
    worker = await _python(program, environ={"STREAMS_DATABASE_URL": database_url})
    async with asyncio.timeout(60):
        _, errors = await worker.communicate()
    assert worker.returncode == 0, errors
    assert await _current(database_url) == runner.head()


async def _python(program: str, *args: str, environ: dict[str, str] | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, *args, env={**os.environ, **(environ or {})}, stderr=asyncio.subprocess.PIPE
    )


async def test_a_database_of_a_newer_program_is_refused(database_url: str) -> None:
    await _upgrade(database_url)
    async with connected(database_url) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not await asyncio.to_thread(runner.is_current, database_url)
    with pytest.raises(runner.UnknownRevision, match="9999"):
        await _upgrade(database_url)


async def test_looking_at_a_file_that_is_not_there_does_not_make_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert await _current(f"sqlite:///{folder}/streams.db") is None
    assert not await asyncio.to_thread(folder.exists)


async def test_the_files_folder_is_made(tmp_path: Path) -> None:
    file = tmp_path / "a" / "new" / "folder" / "100%.db"
    await _upgrade(f"sqlite:///{file}")
    assert await asyncio.to_thread(file.is_file)


async def test_nobody_else_writes_to_a_file_while_it_is_looked_at_and_migrated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/streams.db"
    other = sqlite3.connect(tmp_path / "streams.db", timeout=0, isolation_level=None)
    async with connected(url):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.close()


async def test_looking_does_not_wait_for_a_worker_that_writes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/streams.db"
    await _upgrade(url)
    async with opened_store(url) as store, store._engine.begin():
        async with asyncio.timeout(60):
            assert await _current(url) == runner.head()


@pytest.mark.parametrize("wrong", ["/no_such_database", "x@"])
async def test_a_login_that_is_refused_is_told_in_a_line(postgres: PrivatePostgres, wrong: str) -> None:
    right = postgres.url("postgres")
    url = right.replace("/postgres", wrong) if wrong.startswith("/") else right.replace("@", wrong)
    with pytest.raises(runner.DatabaseUnavailable, match="correct STREAMS_DATABASE_URL") as raised:
        await _current(url)
    assert right.split(":")[2].split("@")[0] not in str(raised.value)


@pytest.mark.parametrize("act", [runner.current, runner.upgrade])
async def test_a_server_that_is_away_is_told_in_a_line_without_the_password(act: Any) -> None:
    url = f"postgresql://worker:hunter2@127.0.0.1:{free_port()}/streams?password=hunter3"
    with pytest.raises(runner.DatabaseUnavailable, match=r"worker:\*\*\*@127.0.0.1.*start it") as raised:
        await asyncio.to_thread(act, url)
    assert "hunter" not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "url", ["postgresql://worker@host:hunter2/db", "nonsense", "mysql://worker:hunter2@host/db"]
)
async def test_a_url_that_cannot_be_used_is_not_quoted(url: str) -> None:
    with pytest.raises(runner.DatabaseUnavailable, match="correct STREAMS_DATABASE_URL") as raised:
        await _current(url)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value)).replace(url, "")


async def test_a_file_that_cannot_be_opened_is_told_in_a_line(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "file").touch)
    with pytest.raises(runner.DatabaseUnavailable, match="Not a directory"):
        await _upgrade(f"sqlite:///{tmp_path}/file/below/streams.db")
    await asyncio.to_thread((tmp_path / "letter").write_text, "Dear reader, " * 500)
    with pytest.raises(runner.DatabaseUnavailable, match="not a database"):
        await _upgrade(f"sqlite:///{tmp_path}/letter")


async def test_a_server_that_logs_us_in_and_then_says_nothing_is_given_up() -> None:
    async def log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"N")
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        await reader.readexactly(length - 4)  # StartupMessage
        version = b"server_version\x0015.0\x00"
        writer.write(b"R" + struct.pack("!II", 8, 0))  # AuthenticationOk
        writer.write(b"S" + struct.pack("!I", 4 + len(version)) + version)
        writer.write(b"Z" + struct.pack("!I", 5) + b"I")  # ReadyForQuery
        await reader.read()
        writer.close()

    async with await asyncio.start_server(log_in, "127.0.0.1", 0) as server:
        url = f"postgresql://worker:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}/streams"
        with pytest.raises(runner.DatabaseUnavailable, match=r"worker:\*\*\*@127.0.0.1.*no answer.*start it"):
            async with connected(url, within_s=0.5):
                pytest.fail("there is nobody")
