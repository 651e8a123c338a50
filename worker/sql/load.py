"""What a batch reads: a handful of statements, however many commands it has."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Handled, MessageKey, StoredEvent
from worker.service.ports import Loaded, Wanted
from worker.sql.rows import device_from, event_from, handled_from, stream_from
from worker.sql.tables import devices, handled_commands, stream_events, streams

T = TypeVar("T")


async def load(connection: AsyncConnection, wanted: Wanted, *, adopt: Insert) -> Loaded:
    """Lock what is meant, then read it. `adopt` is the statement that inserts a device unless it is there.

    Two orders matter here.

    Inserts before locks, each in sorted order. Who inserts waits for a row that another inserted and has not
    committed; who locks cannot see such a row and waits for committed ones only. So nobody who locks ever waits
    for somebody who still inserts, and within each of the two steps all go in the same direction: no cycle.

    Reads after locks, in statements of their own. Under READ COMMITTED each statement sees what was committed
    when it began: one that waited for the lock inside of it would go on with what it saw before the winner's
    commit.
    """
    named = await _named(connection, wanted)
    if wanted.creating:
        await connection.execute(adopt, [{"id": id_, "sequence": 0} for id_ in sorted(wanted.creating)])
    locked = await _locked(connection, wanted.devices | wanted.creating | set(named.values()))
    latest = {device.latest_stream_id for device in locked if device.latest_stream_id}
    return Loaded(
        devices=locked,
        streams=await _streams(connection, named.keys() | latest),
        handled=await _handled(connection, wanted.keys),
        unpublished=await _unpublished(connection, [device.id for device in locked]),
    )


async def _named(connection: AsyncConnection, wanted: Wanted) -> dict[UUID, str]:
    """Find the devices of the streams that are named by id or code. Neither of the three ever changes, so they
    can be read before anything is locked.
    """
    conditions: list[ColumnElement[bool]] = []
    if wanted.stream_ids:
        conditions.append(streams.c.id.in_(_padded(sorted(wanted.stream_ids))))
    if wanted.codes:
        conditions.append(streams.c.code.in_(_padded(sorted(wanted.codes))))
    if not conditions:
        return {}
    rows = await connection.execute(select(streams.c.id, streams.c.device_id).where(or_(*conditions)))
    return {row.id: row.device_id for row in rows}


async def _locked(connection: AsyncConnection, ids: Collection[str]) -> list[Device]:
    if not ids:
        return []
    meant = select(devices).where(devices.c.id.in_(_padded(sorted(ids))))
    rows = await connection.execute(meant.order_by(devices.c.id).with_for_update())  # SQLite locks at BEGIN
    return [device_from(row) for row in rows]


async def _streams(connection: AsyncConnection, ids: Collection[UUID]) -> list[Stream]:
    if not ids:
        return []
    rows = await connection.execute(select(streams).where(streams.c.id.in_(_padded(sorted(ids)))))
    return [stream_from(row) for row in rows]


async def _handled(connection: AsyncConnection, keys: Collection[MessageKey]) -> dict[MessageKey, Handled]:
    if not keys:
        return {}
    pairs = _padded(sorted((key.sender, key.message_id) for key in keys))
    key = tuple_(handled_commands.c.sender, handled_commands.c.message_id)
    rows = await connection.execute(select(handled_commands).where(key.in_(pairs)))
    return {found.identity.key: found for found in map(handled_from, rows)}


async def _unpublished(connection: AsyncConnection, device_ids: Sequence[str]) -> list[StoredEvent]:
    if not device_ids:
        return []
    rows = await connection.execute(_outbox(stream_events.c.device_id.in_(_padded(device_ids))))
    return [event_from(row) for row in rows]


async def left_behind(
    connection: AsyncConnection, *, before: datetime, limit: int, after: str
) -> list[StoredEvent]:
    """Return the outbox of the devices behind `after` that have an event in it from before that time, `limit`
    events at most.
    """
    late = select(stream_events.c.device_id).where(
        stream_events.c.published_at.is_(None), stream_events.c.at < before, stream_events.c.device_id > after
    )
    rows = await connection.execute(_outbox(stream_events.c.device_id.in_(late)).limit(limit))
    return [event_from(row) for row in rows]


def _outbox(of: ColumnElement[bool]) -> Any:
    return (
        select(stream_events)
        .where(stream_events.c.published_at.is_(None), of)
        .order_by(stream_events.c.device_id, stream_events.c.sequence)
    )


def _padded(values: Iterable[T]) -> list[T]:
    """Repeat the last value until there are a power of two: each length is another text for the database to
    prepare, and so there are about ten of them instead of hundreds.
    """
    padded = list(values)
    missing = (1 << (len(padded) - 1).bit_length()) - len(padded)
    return padded + padded[-1:] * missing
