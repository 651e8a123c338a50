"""How often the broker refused a device's next event, and whether the device has a rest from it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Row, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Parking
from worker.sql.among import among
from worker.sql.claims import NOBODY
from worker.sql.tables import devices, relayed_devices

_LOCK: Final = select(devices.c.id).where(among(devices.c.id, "ids")).order_by(devices.c.id).with_for_update()
_KNOWN: Final = select(relayed_devices).where(among(relayed_devices.c.device_id, "ids"))


async def refused(
    connection: AsyncConnection,
    refused: Mapping[str, int],
    parking: Parking,
    *,
    insert: Callable[[Table], Any],
) -> list[str]:
    """Count, park, and return the devices that are parked by that. Three statements, however many devices.

    The devices are locked as a batch locks them, so that two workers count one after the other, and `claim`, which
    passes over locked devices, does not wait for this. In a transaction that does more it stands where a batch
    loads: before anything is saved.
    """
    if not refused:
        return []
    ids = sorted(refused)
    await connection.execute(_LOCK, {"ids": ids})
    known = {row.device_id: row for row in await connection.execute(_KNOWN, {"ids": ids})}
    before = {id_: known[id_] for id_ in ids if id_ in known and known[id_].sequence == refused[id_]}
    rows = [_counted(id_, refused[id_], before.get(id_), parking) for id_ in ids]
    await connection.execute(_upsert(insert), rows)
    rested = {id_ for id_, row in before.items() if row.parked_at is not None}
    return [row["device_id"] for row in rows if row["parked_at"] and row["device_id"] not in rested]


def _counted(device_id: str, sequence: int, before: Row[Any] | None, parking: Parking) -> dict[str, Any]:
    """Return the row that follows from the one before it, if that one was about the same event."""
    refusals = before.refusals + 1 if before else 1
    is_parked = refusals >= parking.after
    since = (before.parked_at if before else None) or parking.at
    return {
        "device_id": device_id,
        "worker": NOBODY,
        "claimed_until": parking.at,
        "sequence": sequence,
        "refusals": refusals,
        "parked_at": since if is_parked else None,
        "retry_at": parking.retry_at if is_parked else None,
    }


def _upsert(insert: Callable[[Table], Any]) -> Any:
    """Insert rows, or change what they say of refusals; whose a device is stays as it is."""
    counting = insert(relayed_devices)
    told = {name: counting.excluded[name] for name in ("sequence", "refusals", "parked_at", "retry_at")}
    return counting.on_conflict_do_update(index_elements=["device_id"], set_=told)
