"""How a batch makes sure of its devices: those that it may create are made, then all are locked.

Inserts come before locks, each in sorted order. Who inserts waits for a row that another inserted and has not
committed; who locks cannot see such a row and waits for committed ones only. So nobody who locks ever waits for
somebody who still inserts, and within each of the two steps all go in the same direction: no cycle.
"""

from collections.abc import Awaitable, Callable, Collection
from operator import attrgetter
from typing import Final

from sqlalchemy import bindparam, func, literal, select, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.domain.roster import Device
from worker.sql.among import among
from worker.sql.rows import device_from
from worker.sql.tables import devices

_LOCKED: Final = (
    select(devices).where(among(devices.c.id, "ids")).order_by(devices.c.id).with_for_update()
)  # SQLite locks at BEGIN
_MADE: Final = sqlite.insert(devices).on_conflict_do_nothing()
_NAMED: Final = func.unnest(bindparam("creating", type_=postgresql.ARRAY(devices.c.id.type, dimensions=1)))
_MADE_NOW: Final = (
    postgresql.insert(devices)
    .from_select(["id", "sequence"], select(_NAMED, literal(0)))
    .on_conflict_do_nothing()
    .returning(*devices.c)
    .cte("made")
)
_THERE: Final = _LOCKED.cte("there")
_MADE_AND_LOCKED: Final = union_all(select(_MADE_NOW), select(_THERE))  # in this order, as they must be


# Makes those of the first devices that are not there, and locks all of them; of the second, those that are there.
# Returns what is locked, in order. No device is in both.
Lock = Callable[[AsyncConnection, Collection[str], Collection[str]], Awaitable[list[Device]]]


async def lock(connection: AsyncConnection, creating: Collection[str], known: Collection[str]) -> list[Device]:
    """See `Lock`; for SQLite."""
    if creating:
        await connection.execute(_MADE, [{"id": id_, "sequence": 0} for id_ in sorted(creating)])
    return await _lock(connection, [*creating, *known])


async def lock_at_once(
    connection: AsyncConnection, creating: Collection[str], known: Collection[str]
) -> list[Device]:
    """See `Lock`; for PostgreSQL, in one statement. It cannot see what another made and committed while it waited
    to make the same: such a device is locked by a second one. That is rare, and out of order: should it ever close
    a cycle, the database ends one of its transactions, which is begun again.
    """
    if not creating:
        return await _lock(connection, known)
    ids = {"creating": sorted(creating), "ids": [*creating, *known]}
    locked = [device_from(row) for row in await connection.execute(_MADE_AND_LOCKED, ids)]
    unseen = set(creating) - {device.id for device in locked}
    return sorted([*locked, *await _lock(connection, unseen)], key=attrgetter("id"))


async def _lock(connection: AsyncConnection, ids: Collection[str]) -> list[Device]:
    if not ids:
        return []
    return [device_from(row) for row in await connection.execute(_LOCKED, {"ids": list(ids)})]
