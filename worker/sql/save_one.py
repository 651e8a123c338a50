"""What one command writes, where a statement is a round trip: everything in one, if its device is as it was read.

The change of the device comes first. It says how the device stood, and changes nothing where it stands otherwise
by now; everything else asks whether it changed something.
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Insert,
    Select,
    Subquery,
    Update,
    and_,
    bindparam,
    exists,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.domain.roster import Device
from worker.service.stored import Changes
from worker.sql.save import rows_of
from worker.sql.save_at_once import COLUMNS, MARKED_AT, marking, parameter, writing
from worker.sql.tables import devices

_KNOWN_SEQUENCE: Final = "known_sequence"


async def save_one(connection: AsyncConnection, changes: Changes, *, known: Collection[Device]) -> bool:
    """Write everything, or nothing where a device is not as it is `known` any more; return which.

    A device that is not known is a new one. Raises ValueError where there is more of a kind than one command
    makes.
    """
    rows = rows_of(changes)
    if not rows:
        return True
    told: dict[str, Any] = {}
    if "marks" in rows:
        told = {parameter("marks", "key"): [mark["key"] for mark in rows["marks"]], MARKED_AT: changes.at}
    for kind in rows.keys() - {"marks"}:
        (row,) = rows[kind]
        told |= {parameter(kind, name): value for name, value in row.items()}
    sequences = {device.id: device.sequence for device in known}
    expected = [sequences[device.id] for device in changes.devices if device.id in sequences]
    if expected:
        (told[_KNOWN_SEQUENCE],) = expected
    result = await connection.execute(_statement(tuple(rows), is_known=bool(expected)), told)
    return bool(result.scalar_one())


@cache  # as many as there are kinds of commands, and of their outcomes
def _statement(kinds: tuple[str, ...], *, is_known: bool) -> Select[Any]:
    moved = [_moving(is_known=is_known).returning(devices.c.id).cte("moved")] if "devices" in kinds else []
    conditions = [exists(select(one)) for one in moved]
    writes = [_writing(kind, conditions).cte(f"write_{kind}") for kind in kinds if kind != "devices"]
    return select(and_(true(), *conditions)).add_cte(*moved, *writes)


def _moving(*, is_known: bool) -> Insert | Update:
    """Return what changes a device that is as it is known, or makes one that is not there. It waits for whoever is
    at it just now.
    """
    row = _row("devices")
    if is_known:
        is_as_known = and_(devices.c.id == row.c.key, devices.c.sequence == bindparam(_KNOWN_SEQUENCE))
        moved = {name: row.c[name] for name in ("sequence", "latest_stream_id")}
        return update(devices).where(is_as_known).values(moved)
    return postgresql.insert(devices).from_select(list(devices.c.keys()), select(row)).on_conflict_do_nothing()


def _writing(kind: str, conditions: Sequence[ColumnElement[bool]]) -> Insert | Update:
    return marking().where(*conditions) if kind == "marks" else writing(kind, _row(kind, *conditions))


def _row(kind: str, *conditions: ColumnElement[bool]) -> Subquery:
    """Return the one row of a kind, or none where the conditions do not hold."""
    columns = (bindparam(parameter(kind, name), type_=one.type).label(name) for name, one in COLUMNS[kind].items())
    return select(*columns).where(*conditions).subquery(f"{kind}_row")
