"""A database with a past: streams that ended and commands that were answered, put into the tables directly."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Table, insert, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from benchmarks.measures.backlog import MANY
from worker.domain.code import code_from_bits
from worker.sql.tables import devices, handled_commands, stream_events, streams

MEASURE: Final = "throughput with a past"

_CHUNK: Final = 5_000
_READ_BYTES: Final = 16 * 1024**2
_SPAN: Final = timedelta(hours=12)  # so young that no retention takes any of it meanwhile
_BODY: Final = b"x" * 300
_EVENT: Final = b"x" * 550
_KINDS: Final = ("stream.created", "stream.stopped")
_STRIDE: Final = 0x9E3779B97F  # odd: no two multiples have the same 40 bits, and they lie everywhere
_VERSION_7: Final = 7 << 76 | 2 << 62
_VERSION_8: Final = 8 << 76 | 2 << 62

Row = Mapping[str, Any]
Rows = Mapping[Table, Sequence[Row]]


async def fill(database_url: str, *, count: int = MANY, seed: str) -> None:
    """Add so many devices, each with a stopped stream, its two events and an answered command."""
    engine = create_async_engine(database_url)
    try:
        for rows in _chunks(count, seed):
            async with engine.begin() as connection:
                for table, values in rows.items():
                    await _insert(connection, table, values)
        async with engine.connect() as connection:
            await connection.execute(text("ANALYZE"))
            await connection.commit()
    finally:
        await engine.dispose()


def recall(database_url: str) -> None:
    """Read a database file from end to end, so that the system has it in memory as one that is in use: what was
    written minutes ago may be on the disk alone by now, and the first trials would measure that.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        with Path(url.database).open("rb") as file:
            while file.read(_READ_BYTES):
                pass


async def _insert(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    if connection.dialect.name == "sqlite":
        await connection.execute(insert(table), rows)
        return
    # COPY: a tenth of the time.
    driver: asyncpg.Connection = (await connection.get_raw_connection()).driver_connection
    records = [tuple(row.values()) for row in rows]
    await driver.copy_records_to_table(table.name, records=records, columns=list(rows[0]))


def _chunks(count: int, seed: str) -> Iterator[Rows]:
    rng, now = Random(seed), datetime.now(UTC)
    for start in range(0, count, _CHUNK):
        at = [now - _SPAN * (1 - number / count) for number in range(start, min(start + _CHUNK, count))]
        yield _rows(rng, at, start)


def _rows(rng: Random, at: Sequence[datetime], start: int) -> Rows:
    # Random names and ids, so that those of new commands fall between them; streams' ids grow with time.
    pasts = [
        _Past(
            name=f"cam-{rng.getrandbits(48):012x}-",
            stream_id=UUID(int=int(moment.timestamp() * 1000) << 80 | _VERSION_7 | rng.getrandbits(62)),
            code=code_from_bits(number * _STRIDE),
            at=moment,
        )
        for number, moment in enumerate(at, start)
    ]
    return {
        devices: [{"id": past.name, "sequence": 2, "latest_stream_id": past.stream_id} for past in pasts],
        streams: [past.stream() for past in pasts],
        stream_events: [past.event(rng, *kind) for past in pasts for kind in enumerate(_KINDS, 1)],
        handled_commands: [past.handled(rng) for past in pasts],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """The past of one device."""

    name: str
    stream_id: UUID
    code: str
    at: datetime

    def stream(self) -> Row:
        return {
            "id": self.stream_id,
            "device_id": self.name,
            "code": self.code,
            "status": "stopped",
            "created_at": self.at,
            "stopped_at": self.at,
            "version": 2,
        }

    def event(self, rng: Random, sequence: int, kind: str) -> Row:
        return {
            "device_id": self.name,
            "sequence": sequence,
            # As the worker makes them: the time of the stream's id, then what is random.
            "event_id": UUID(int=self.stream_id.int >> 80 << 80 | _VERSION_8 | rng.getrandbits(62)),
            "type": kind,
            "body": _EVENT,
            "at": self.at,
            "published_at": self.at,
        }

    def handled(self, rng: Random) -> Row:
        return {
            "sender": "",
            "message_id": f"{rng.getrandbits(128):032x}",
            "digest": rng.randbytes(32),
            "reply_type": "stream.reply",
            "reply_content_type": "application/json",
            "reply_body": _BODY,
            "handled_at": self.at,
        }
