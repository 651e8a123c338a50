"""What a batch writes, and how PostgreSQL is told: everything in one statement, and so in one round trip.

The rows of each kind go as lists side by side, one a column, and each kind is a WITH of its own. They all see the
database as it was before, and in which order they change it is PostgreSQL's affair: the same for all workers, for
the text is the same. What is ended and begun of one device at once depends on the order, and goes before.
"""

from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    Column,
    Table,
    TableValuedAlias,
    any_,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Changes
from worker.sql.rows import Values
from worker.sql.save import STREAM, Rows
from worker.sql.tables import devices, handled_commands, stream_events, streams


def _array(name: str, one: Column[Any]) -> Any:
    return bindparam(name, type_=ARRAY(one.type, dimensions=1))


def _lists(kind: str, **columns: Column[Any]) -> TableValuedAlias:
    """Return the lists of a kind as a table. Each is the parameter `<kind>_<name>`."""
    lists = (_array(f"{kind}_{name}", one) for name, one in columns.items())
    named = (column(name, one.type) for name, one in columns.items())
    return func.unnest(*lists).table_valued(*named).render_derived(name=kind)


_MOVED: Final = _lists(
    "moved", key=devices.c.id, sequence=devices.c.sequence, latest_stream_id=devices.c.latest_stream_id
)
_ENDED: Final = _lists(
    "ended", key=streams.c.id, status=streams.c.status, stopped_at=streams.c.stopped_at, version=streams.c.version
)
_BEGAN: Final = _lists("began", **dict(streams.c.items()))
_EVENTS: Final = _lists("events", **{name: one for name, one in stream_events.c.items() if name != "published_at"})
_HANDLED: Final = _lists("handled", **dict(handled_commands.c.items()))


def _changed(one: Table, lists: TableValuedAlias) -> Any:
    new = {name: value for name, value in lists.c.items() if name != "key"}
    return update(one).where(one.c.id == lists.c.key).values(new).cte(f"{lists.name}_changed")


def _added(one: Table, lists: TableValuedAlias) -> Any:
    return insert(one).from_select(list(lists.c.keys()), select(lists)).cte(f"{lists.name}_added")


# Locked in order first: another worker may mark the same events.
_MARKED: Final = (
    select(stream_events.c.event_id)
    .where(stream_events.c.event_id == any_(_array("marked", stream_events.c.event_id)))
    .where(stream_events.c.published_at.is_(None))
    .order_by(stream_events.c.event_id)
    .with_for_update()
    .scalar_subquery()
)
_SAVE: Final = (
    update(stream_events)
    .where(stream_events.c.event_id == any_(func.array(_MARKED)))
    .values(published_at=bindparam("published_at"))
    .add_cte(
        _changed(devices, _MOVED),
        _changed(streams, _ENDED),
        _added(streams, _BEGAN),
        _added(stream_events, _EVENTS),
        _added(handled_commands, _HANDLED),
    )
)


async def save_at_once(connection: AsyncConnection, changes: Changes) -> None:
    """Write everything; without changes, nothing is sent."""
    rows = Rows.of(changes)
    if not any((rows.devices, rows.ended, rows.began, rows.events, rows.handled, rows.marked)):
        return
    ended = rows.ended
    if ended and rows.began:
        await connection.execute(STREAM, ended)
        ended = []
    await connection.execute(
        _SAVE,
        {
            "marked": rows.marked,
            "published_at": changes.at,
            **_columns(_MOVED, rows.devices),
            **_columns(_ENDED, ended),
            **_columns(_BEGAN, rows.began),
            **_columns(_EVENTS, rows.events),
            **_columns(_HANDLED, rows.handled),
        },
    )


def _columns(lists: TableValuedAlias, rows: list[Values]) -> dict[str, list[Any]]:
    return {f"{lists.name}_{name}": [row[name] for row in rows] for name in lists.c.keys()}  # noqa: SIM118
