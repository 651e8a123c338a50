"""What a batch writes, and how PostgreSQL is told: everything in one statement, and so in one round trip.

The rows of each kind go as lists side by side, one a column. Each kind but the last is a WITH of its own: they all
see the database as it was before, and in which order they change it is PostgreSQL's affair (the same for all
workers: from the last to the first). What ended and what began goes in two statements, for there it matters.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Column,
    FromClause,
    Insert,
    TableValuedAlias,
    Update,
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
from worker.sql.save import ENDED, rows_of
from worker.sql.tables import devices, handled_commands, stream_events, streams

# Of each kind, what its rows are made of; `key` says which row of the table is changed.
COLUMNS: Final[Mapping[str, Mapping[str, Column[Any]]]] = {
    "devices": {"key": devices.c.id} | {name: devices.c[name] for name in ("sequence", "latest_stream_id")},
    "ended": {"key": streams.c.id} | {name: streams.c[name] for name in ("status", "stopped_at", "version")},
    "began": dict(streams.c.items()),
    "events": {name: one for name, one in stream_events.c.items() if name != "published_at"},
    "handled": dict(handled_commands.c.items()),
    "marks": {"key": stream_events.c.event_id},
}
MARKED_AT: Final = "marked_at"


async def save_at_once(connection: AsyncConnection, changes: Changes) -> None:
    """Write everything; without changes, nothing is sent."""
    rows = rows_of(changes)
    if rows.keys() >= {"ended", "began"}:
        await connection.execute(ENDED, rows.pop("ended"))
    if rows:
        lists = {
            parameter(kind, name): [row[name] for row in of_kind]
            for kind, of_kind in rows.items()
            for name in COLUMNS[kind]
        }
        marked_at = {MARKED_AT: changes.at} if "marks" in rows else {}
        await connection.execute(_statement(tuple(rows)), lists | marked_at)


@cache  # there are as many as there are kinds of commands, and of their outcomes
def _statement(kinds: tuple[str, ...]) -> Insert | Update:
    *others, last = kinds
    return _writing(last).add_cte(*(_writing(kind).cte(f"write_{kind}") for kind in others))


def _writing(kind: str) -> Insert | Update:
    return marking() if kind == "marks" else writing(kind, _as_table(kind))


def writing(kind: str, rows: FromClause) -> Insert | Update:
    """Return what writes the rows of a kind, which have its columns by their names; not for marks."""
    columns = COLUMNS[kind]
    if "key" not in columns:
        table = next(iter(columns.values())).table
        return insert(table).from_select(list(columns), select(rows))
    key = columns["key"]
    new = {name: rows.c[name] for name in columns if name != "key"}
    return update(key.table).where(key == rows.c.key).values(new)


def marking() -> Update:
    """Return what marks events as published. Another worker may mark the same ones: all lock them in the same
    order before they change one.
    """
    key = stream_events.c.event_id
    unmarked = select(key).where(key == any_(_list("marks", "key", key)), stream_events.c.published_at.is_(None))
    locked = func.array(unmarked.order_by(key).with_for_update().scalar_subquery())
    return update(stream_events).where(key == any_(locked)).values(published_at=bindparam(MARKED_AT))


def _as_table(kind: str) -> TableValuedAlias:
    lists = (_list(kind, name, one) for name, one in COLUMNS[kind].items())
    named = (column(name, one.type) for name, one in COLUMNS[kind].items())
    return func.unnest(*lists).table_valued(*named).render_derived(name=f"{kind}_rows")


def _list(kind: str, name: str, one: Column[Any]) -> BindParameter[Any]:
    return bindparam(parameter(kind, name), type_=ARRAY(one.type, dimensions=1))


def parameter(kind: str, name: str) -> str:
    """Return the name of the parameter that is a column of a kind."""
    return f"{kind}_{name}"
