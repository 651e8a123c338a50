"""What a batch reads: a handful of statements, however many commands it has."""

from collections.abc import Callable, Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Table, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Handled, MessageKey
from worker.service.stored import Loaded, Wanted
from worker.sql.among import among, pair_among
from worker.sql.outbox import standing_of
from worker.sql.rows import device_from, handled_from, stream_from
from worker.sql.tables import devices, handled_commands, streams

_NAMED: Final = select(streams.c.id, streams.c.code, streams.c.device_id).where(
    or_(among(streams.c.id, "ids"), among(streams.c.code, "codes"))
)
_LOCKED: Final = (
    select(devices).where(among(devices.c.id, "ids")).order_by(devices.c.id).with_for_update()
)  # SQLite locks at BEGIN
_STREAMS: Final = select(streams).where(among(streams.c.id, "ids"))
_HANDLED: Final = select(handled_commands).where(
    pair_among(handled_commands.c.sender, handled_commands.c.message_id, ("senders", "message_ids"))
)


async def load(connection: AsyncConnection, wanted: Wanted, *, insert: Callable[[Table], Any]) -> Loaded:
    """Lock what is meant, then read it.

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
        adopt = insert(devices).on_conflict_do_nothing()
        await connection.execute(adopt, [{"id": id_, "sequence": 0} for id_ in sorted(wanted.creating)])
    locked = await _locked(connection, wanted.devices | wanted.creating | set(named.values()))
    standing = await standing_of(connection, [device.id for device in locked])
    others = named.keys() - {stream.id for stream in standing.streams}
    return Loaded(
        devices=locked,
        streams=[*standing.streams, *await streams_of(connection, others)],
        handled=await _handled(connection, wanted.keys),
        unpublished=standing.events,
        cut=standing.cut,
        parked=standing.parked,
    )


async def _named(connection: AsyncConnection, wanted: Wanted) -> dict[UUID, str]:
    """Find the devices of the streams that are named by id or code. Neither of the three ever changes, so they
    can be read before anything is locked. What the asker may not see ends here: no lock, no further statement.
    """
    if not wanted.stream_ids and not wanted.codes:
        return {}
    names = {"ids": list(wanted.stream_ids), "codes": list(wanted.codes)}
    return {
        row.id: row.device_id
        for row in await connection.execute(_NAMED, names)
        if wanted.means(stream_id=row.id, code=row.code, device_id=row.device_id)
    }


async def _locked(connection: AsyncConnection, ids: Collection[str]) -> list[Device]:
    if not ids:
        return []
    rows = await connection.execute(_LOCKED, {"ids": list(ids)})
    return [device_from(row) for row in rows]


async def streams_of(connection: AsyncConnection, ids: Collection[UUID]) -> list[Stream]:
    """Read these streams, if any."""
    if not ids:
        return []
    rows = await connection.execute(_STREAMS, {"ids": list(ids)})
    return [stream_from(row) for row in rows]


async def _handled(connection: AsyncConnection, keys: Collection[MessageKey]) -> dict[MessageKey, Handled]:
    if not keys:
        return {}
    named = {"senders": [key.sender for key in keys], "message_ids": [key.message_id for key in keys]}
    rows = await connection.execute(_HANDLED, named)
    return {found.identity.key: found for found in map(handled_from, rows)}
