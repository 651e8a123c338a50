"""What the database holds when nothing works on it any more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import Column, Table, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from tests.faults.history import Key
from worker.sql import tables

_DEADLINE_S: Final = 30.0
_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A row of `devices`."""

    id: str
    sequence: int
    latest_stream_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """A row of `streams`."""

    id: str
    device_id: str
    code: str
    status: str
    created_at: str
    stopped_at: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A row of `stream_events`: a fact that is committed, and when it was published if it was."""

    device_id: str
    sequence: int
    event_id: str
    type: str
    body: bytes
    at: str
    published_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledRow:
    """A row of `handled_commands`: a command that is carried out, and what is answered to it for ever."""

    sender: str
    message_id: str
    digest: bytes
    reply_type: str
    reply_content_type: str
    reply_body: bytes
    reply_problem: str | None
    handled_at: str

    @property
    def key(self) -> Key:
        """The command's key."""
        return self.sender, self.message_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The four tables. Ids are lower-case UUIDs, times ISO 8601 in UTC as events have them."""

    devices: tuple[DeviceRow, ...] = ()
    streams: tuple[StreamRow, ...] = ()
    events: tuple[EventRow, ...] = ()
    handled: tuple[HandledRow, ...] = ()


async def read_snapshot(database_url: str) -> Snapshot:
    """Read the tables of a `sqlite` or `postgresql` database, each whole and in the order of its key."""
    async with connected(database_url) as connection:
        return Snapshot(
            devices=await rows_of(connection, tables.devices, DeviceRow),
            streams=await rows_of(connection, tables.streams, StreamRow),
            events=await rows_of(connection, tables.stream_events, EventRow),
            handled=await rows_of(connection, tables.handled_commands, HandledRow),
        )


async def count_unpublished(database_url: str) -> int:
    """Return how many events the worker has not yet marked as published."""
    async with connected(database_url) as connection:
        unpublished = tables.stream_events.c.published_at.is_(None)
        found = await connection.scalar(select(func.count()).select_from(tables.stream_events).where(unpublished))
        return int(found or 0)


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator[AsyncConnection]:
    """Lend a connection with a database, whichever kind it is."""
    url = make_url(database_url)
    engine = create_async_engine(url.set(drivername=_DRIVERS[url.get_backend_name()]), poolclass=NullPool)
    try:
        async with asyncio.timeout(_DEADLINE_S), engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def rows_of(connection: AsyncConnection, table: Table, kind: type[R]) -> tuple[R, ...]:
    """Read the columns that the kind of row has: others are nobody's concern here."""
    columns: Sequence[Column[Any]] = [table.c[field.name] for field in fields(kind)]  # type: ignore[arg-type]
    found = await connection.execute(select(*columns).order_by(*table.primary_key.columns))
    names = [column.name for column in columns]
    return tuple(kind(**dict(zip(names, map(_plain, row), strict=True))) for row in found)


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case memoryview():
            return bytes(value)
        case _:
            return value
