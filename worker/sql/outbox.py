"""A batch's part of the outbox: what is unpublished of the devices it holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Row, and_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.messages import StoredEvent
from worker.service.stored import UNPUBLISHED_MAX
from worker.sql.among import among
from worker.sql.rows import event_from
from worker.sql.tables import devices, relayed_devices, stream_events

_MORE_THAN_ANY: Final = literal((1 << 63) - 1, BigInteger)
_lower: Final = stream_events.alias("lower")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """The lowest unpublished events of some devices, in order; see `worker.service.ports.Loaded`."""

    events: Sequence[StoredEvent]
    cut: frozenset[str] = frozenset()
    parked: frozenset[str] = frozenset()


async def unpublished_of(connection: AsyncConnection, device_ids: Sequence[str]) -> Unpublished:
    """Return what a batch that has locked these devices may publish of what was there before.

    Whether one is parked is read with its events, in a statement of its own after the lock, so that it is what
    was committed last.
    """
    if not device_ids:
        return Unpublished(events=[])
    rows = await connection.execute(_LOWEST, {"ids": list(device_ids)})
    events: list[StoredEvent] = []
    cut: set[str] = set()
    parked: set[str] = set()
    for device_id, of_device in groupby(rows, lambda row: str(row.device_id)):
        found = list(of_device)
        if _is_parked(found[0]):
            parked.add(device_id)
            continue
        if len(found) > UNPUBLISHED_MAX:
            cut.add(device_id)
        events.extend(map(event_from, found[:UNPUBLISHED_MAX]))
    return Unpublished(events=events, cut=frozenset(cut), parked=frozenset(parked))


def _is_parked(lowest: Row[Any]) -> bool:
    """Whether the event that it is parked for is still to come. Once that one is published nothing holds the
    device up, although the relay, which tidies up, may not have come by.
    """
    return lowest.parked_at is not None and lowest.sequence <= lowest.refused_sequence


def lowest_of(device_id: ColumnElement[str], count: int) -> ColumnElement[bool]:
    """Return the condition that an event is one of the so many lowest unpublished ones of its device.

    The highest of them is looked up in the index, so that a device with a hundred thousand costs what any other
    does: a window function, or a sort, would read them all.
    """
    highest = (
        select(_lower.c.sequence)
        .where(_lower.c.device_id == device_id, _lower.c.published_at.is_(None))
        .order_by(_lower.c.sequence)
        .offset(count - 1)
        .limit(1)
        .scalar_subquery()
    )
    return and_(
        stream_events.c.device_id == device_id,
        stream_events.c.published_at.is_(None),
        stream_events.c.sequence <= func.coalesce(highest, _MORE_THAN_ANY),
    )


_LOWEST: Final = (
    select(stream_events, relayed_devices.c.parked_at, relayed_devices.c.sequence.label("refused_sequence"))
    .select_from(stream_events)
    .join(devices, lowest_of(devices.c.id, UNPUBLISHED_MAX + 1))
    .outerjoin(relayed_devices, relayed_devices.c.device_id == devices.c.id)
    .where(among(devices.c.id, "ids"))
    .order_by(stream_events.c.device_id, stream_events.c.sequence)
)
