"""What can be done to a PostgreSQL database or its server, each for as long as a block lasts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from devtools.postgres import PrivatePostgres
from tests.faults.world import World
from worker.sql.tables import metadata

CONNECT_WITHIN_S: Final = 10.0
STATEMENT_WITHIN_S: Final = 20.0
SESSIONS_MAX: Final = 500  # more than any server of the tests takes
BETWEEN_DEATHS_S: Final = 0.3
OUR_PATIENCE: Final = "10s"  # with a deadlock: the worker's is a second, so that it finds out first
LATENCY_S: Final = 1.0  # each way
TABLES: Final = ", ".join(sorted(metadata.tables))

_OTHERS: Final = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_TERMINATE_OTHERS: Final = f"SELECT pg_terminate_backend(pid) {_OTHERS}"
_WORKERS: Final = f"SELECT pid {_OTHERS} AND application_name <> ''"  # ours have no name

_REFUSE: Final = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""


@asynccontextmanager
async def session(world: World, *, database: str | None = None) -> AsyncIterator[Any]:
    """Lend a session of our own with the trial's database, past all proxies."""
    url = world.servers.postgres.url(database or world.namespace).replace("+asyncpg", "")
    connection = await asyncpg.connect(url, timeout=CONNECT_WITHIN_S, command_timeout=STATEMENT_WITHIN_S)
    try:
        yield connection
    finally:
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            await connection.close(timeout=CONNECT_WITHIN_S)


@asynccontextmanager
async def locked(world: World) -> AsyncIterator[None]:
    """Hold every table, as a migration of somebody else does."""
    async with session(world) as other:
        await other.execute(f"SET deadlock_timeout = '{OUR_PATIENCE}'")
        transaction = other.transaction()
        await transaction.start()
        await other.execute(f"LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            await transaction.rollback()


@asynccontextmanager
async def slow(world: World) -> AsyncIterator[None]:
    """Have each statement take two seconds more."""
    assert world.sql is not None
    fault = world.sql.delay(LATENCY_S)
    try:
        yield
    finally:
        fault.remove()


@asynccontextmanager
async def unreachable(world: World) -> AsyncIterator[None]:
    """End all connections and let none in."""
    assert world.sql is not None
    fault = world.sql.refuse()
    world.sql.cut()
    try:
        yield
    finally:
        fault.remove()


@asynccontextmanager
async def terminated(world: World) -> AsyncIterator[None]:
    """End the workers' sessions again and again, as an administrator can."""
    terminating = asyncio.create_task(_terminate(world), name="terminate")
    try:
        yield
    finally:
        terminating.cancel()
        await asyncio.gather(terminating, return_exceptions=True)


async def _terminate(world: World) -> None:
    async with session(world) as other:
        while True:
            await terminate_others(other)
            await asyncio.sleep(BETWEEN_DEATHS_S)


async def terminate_others(connection: Any) -> None:
    """End every session with the database but this one."""
    await connection.execute(_TERMINATE_OTHERS)


@asynccontextmanager
async def full(world: World) -> AsyncIterator[None]:
    """Refuse whatever is written, in the words of a disk that is full. It can be read."""
    async with session(world) as other:
        await other.execute(_REFUSE)
        for table in metadata.tables:
            await other.execute(
                f"CREATE TRIGGER refused BEFORE INSERT OR UPDATE OR DELETE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
            )
        try:
            yield
        finally:
            await other.execute("DROP FUNCTION refuse CASCADE")


@asynccontextmanager
async def read_only(world: World) -> AsyncIterator[None]:
    """Let nobody write, as on a server that has become a standby."""
    async with session(world, database="postgres") as other:
        name = world.namespace
        await other.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await _end_sessions(other, name)
        try:
            yield
        finally:
            await other.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
            await _end_sessions(other, name)


async def _end_sessions(connection: Any, database: str) -> None:
    """End them: a session keeps what held for the database when it began."""
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database)


@asynccontextmanager
async def crowded(world: World) -> AsyncIterator[None]:
    """Take every session that the server has to give, the workers' own among them."""
    async with AsyncExitStack() as taken:
        first = await taken.enter_async_context(session(world))
        for _ in range(SESSIONS_MAX):
            try:
                await taken.enter_async_context(session(world, database="postgres"))
            except asyncpg.TooManyConnectionsError:
                if not await first.fetch(_WORKERS):
                    break
                await terminate_others(first)
        yield


def server(harm: Callable[[PrivatePostgres], None], mend: Callable[[PrivatePostgres], None]) -> Any:
    """Make a harm of what can be done to the server as a whole."""

    @asynccontextmanager
    async def harmed(world: World) -> AsyncIterator[None]:
        await asyncio.to_thread(harm, world.servers.postgres)
        try:
            yield
        finally:
            await asyncio.to_thread(mend, world.servers.postgres)

    return harmed
