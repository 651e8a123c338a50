"""What one command reads, where a statement is a round trip: everything in one, and nothing is locked."""

from functools import cache
from typing import Any, Final

from sqlalchemy import Row, Select, Text, and_, bindparam, func, literal_column, null, select, true
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.domain.roster import Device
from worker.service.messages import Handled, MessageKey
from worker.service.stored import UNPUBLISHED_MAX, Loaded, Wanted
from worker.sql.load import streams_of
from worker.sql.outbox import shown, standing_from
from worker.sql.rows import handled_from
from worker.sql.tables import devices, handled_commands, relayed_devices, stream_events, streams

_named: Final = streams.alias("named")
_BY: Final = {"stream_id": _named.c.id, "code": _named.c.code}


async def load_one(connection: AsyncConnection, wanted: Wanted) -> Loaded:
    """Read what a single command wants. Others may change it from then on.

    A stream that is named and is not its device's latest is read by a second statement: it has ended, and does not
    change any more. Raises ValueError where more is wanted than one command can want.
    """
    by, name = _how_named(wanted)
    key = _only(wanted.keys)
    told = {by: name, "sender": key and key.sender, "message_id": key and key.message_id}
    if by != "device_id":
        told["only_for"] = _only(wanted.only_for.get(name))
    rows = (await connection.execute(reading(by), told)).all()
    handled = _handled(rows[0])
    if rows[0].device_id is None:
        return Loaded(handled=handled)
    standing = standing_from(rows)
    others = {rows[0].named_id} - {None, *(stream.id for stream in standing.streams)}
    return Loaded(
        devices=[_device(rows[0])],
        streams=[*standing.streams, *await streams_of(connection, others)],
        handled=handled,
        unpublished=standing.events,
        cut=standing.cut,
        parked=standing.parked,
    )


def _how_named(wanted: Wanted) -> tuple[str, Any]:
    """Return what a command names its stream by, and the name."""
    names = {"device_id": wanted.devices | wanted.creating, "stream_id": wanted.stream_ids, "code": wanted.codes}
    return _only([(by, name) for by, of_kind in names.items() for name in of_kind]) or ("device_id", None)


def _only(some: Any) -> Any:
    """Return the one that there is, or None. Raises ValueError for more."""
    (one,) = some or [None]
    return one


def _device(first: Row[Any]) -> Device:
    return Device(id=first.device_id, sequence=first.device_sequence, latest_stream_id=first.latest_stream_id)


def _handled(first: Row[Any]) -> dict[MessageKey, Handled]:
    if first.digest is None:
        return {}
    found = handled_from(first)
    return {found.identity.key: found}


@cache
def reading(by: str) -> Select[Any]:
    """Return what selects a row an event, or one that has none. There is one even where nothing is found.

    Each table is looked into by its key, one after the other. PostgreSQL keeps the plan of this, for no parameter
    is a list; so it is written such that a plan made while tables are empty is good when they are full.
    """
    nothing = select(literal_column("1")).subquery("nothing")
    is_handled = and_(
        handled_commands.c.sender == bindparam("sender"),
        handled_commands.c.message_id == bindparam("message_id"),
    )
    found = nothing.outerjoin(handled_commands, is_handled)
    if by != "device_id":
        # What the asker may not see ends here: it looks like what is not there, and takes no longer.
        is_seen = _named.c.device_id == func.coalesce(bindparam("only_for", type_=Text), _named.c.device_id)
        found = found.outerjoin(_named, and_(_BY[by] == bindparam(by), is_seen))
    found = found.outerjoin(devices, devices.c.id == (bindparam(by) if by == "device_id" else _named.c.device_id))
    waiting = (
        select(stream_events)
        .where(stream_events.c.device_id == devices.c.id, stream_events.c.published_at.is_(None))
        .order_by(stream_events.c.sequence)
        .limit(literal_column(str(UNPUBLISHED_MAX + 1)))
        .lateral("waiting")
    )
    found = (
        found.outerjoin(streams, streams.c.id == devices.c.latest_stream_id)
        .outerjoin(waiting, true())
        .outerjoin(relayed_devices, relayed_devices.c.device_id == devices.c.id)
    )
    return (
        select(
            *shown(waiting),
            devices.c.sequence.label("device_sequence"),
            devices.c.latest_stream_id,
            (null() if by == "device_id" else _named.c.id).label("named_id"),
            *handled_commands.c,
        )
        .select_from(found)
        .order_by(waiting.c.sequence)
    )
