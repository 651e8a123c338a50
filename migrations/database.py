"""One connection to migrate by: nobody else migrates meanwhile, and it is all or nothing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

CONNECT_TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 60  # for another worker that is migrating, and for locks on the tables
LOOK_S: Final = 90.0  # longer than that patience; what takes longer and is no migration has no answer
_LOCK_KEY: Final = 0x73747265616D73  # "streams": the advisory lock that migrations of this program take
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

# Classes of SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html): no connection, read-only,
# login refused, no such database, resources, in use, shutting down, I/O.
_AWAY: Final = frozenset({"08", "25", "28", "3D", "53", "55", "57", "58"})


class DatabaseUnavailable(Exception):
    """The database could not be reached or is in use. One line, with what to do, and without the password."""


@asynccontextmanager
async def connected(url: str, *, within_s: float = LOOK_S, writing: bool = True) -> AsyncIterator[AsyncConnection]:
    """Open one connection and a transaction, and commit it at the end, all `within_s` seconds.

    On SQLite the file's folder is made, and the file, and writing waits until nobody else writes.
    Raises DatabaseUnavailable, also where there is no answer in time.
    """
    parsed = _with_driver(url)
    with _readable(parsed):
        engine = _sqlite(parsed, writing=writing) if _is_sqlite(parsed) else _postgresql(parsed)
        try:
            async with asyncio.timeout(within_s), AsyncExitStack() as stack:
                async with asyncio.timeout(LOOK_S):  # a server may log us in and then say nothing
                    connection = await stack.enter_async_context(engine.begin())
                yield connection
        finally:
            await engine.dispose()


def exists(url: str) -> bool:
    """Whether there can be anything in the database: False only for a SQLite file that is not there."""
    parsed = _with_driver(url)
    return not _is_sqlite(parsed) or Path(parsed.database or "").is_file()


async def lock(connection: AsyncConnection) -> None:
    """Wait until no other worker migrates this database; hold it until the transaction ends.

    On SQLite BEGIN has done that already. Raises TimeoutError.
    """
    if connection.dialect.name == "postgresql":
        async with asyncio.timeout(LOOK_S):
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def _with_driver(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their texts may quote a part of the password
        raise DatabaseUnavailable("the database's URL cannot be read: correct STREAMS_DATABASE_URL") from None
    name = parsed.get_backend_name()
    if name not in _DRIVERS:
        raise DatabaseUnavailable(f"{name} is no database for this: correct STREAMS_DATABASE_URL")
    return parsed.set(drivername=_DRIVERS[name])


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _postgresql(url: URL) -> AsyncEngine:
    settings = {"application_name": "stream-worker-migrations", "lock_timeout": f"{PATIENCE_S}s"}
    return create_async_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"timeout": CONNECT_TIMEOUT_S, "server_settings": settings},
    )


def _sqlite(url: URL, *, writing: bool) -> AsyncEngine:
    """Send BEGIN ourselves: the driver would send it before the first write only, and run the rest outside."""
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": PATIENCE_S})

    @event.listens_for(engine.sync_engine, "do_connect")
    def make_folder(*_: Any) -> None:
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine.sync_engine, "connect")
    def take_over(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


@contextmanager
def _readable(url: URL) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, OSError) as error:
        if not _is_away(error):
            raise  # a revision is wrong: its author wants to see where
        raise DatabaseUnavailable(_explained(url, error)) from error


def _is_away(error: DBAPIError | OSError) -> bool:
    if isinstance(error, OSError) or error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in {
            sqlite3.SQLITE_ERROR,
            sqlite3.SQLITE_CONSTRAINT,
        }
    return (getattr(error.orig, "sqlstate", None) or "")[:2] in _AWAY


def _explained(url: URL, error: DBAPIError | OSError) -> str:
    told = error.orig if isinstance(error, DBAPIError) and error.orig else error
    unsaid = "no answer in time" if isinstance(told, TimeoutError) else type(told).__name__
    reason = (str(told) or unsaid).splitlines()[0]
    where = url.set(query={}).render_as_string(hide_password=True)
    return f"cannot use the database {where}: {reason}; start it, or correct STREAMS_DATABASE_URL"
