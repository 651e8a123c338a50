"""How the devices that a batch holds stand, and what of their events is unpublished."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, FromClause, Row, and_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.domain.stream import Stream
from worker.service.messages import StoredEvent
from worker.service.stored import UNPUBLISHED_MAX
from worker.sql.among import among
from worker.sql.rows import event_from, stream_from
from worker.sql.tables import devices, relayed_devices, stream_events, streams

_MORE_THAN_ANY: Final = literal((1 << 63) - 1, BigInteger)
_lower: Final = stream_events.alias("lower")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How some devices stand: the latest stream of each, and their lowest unpublished events, in order; see
    `worker.service.stored.Loaded`.
    """

    streams: Sequence[Stream]
    events: Sequence[StoredEvent]
    cut: frozenset[str] = frozenset()
    parked: frozenset[str] = frozenset()


async def standing_of(connection: AsyncConnection, device_ids: Sequence[str]) -> Standing:
    """Return how devices stand that a batch has locked: what it decides from, and what it may publish of what was
    there before.

    Whether one is parked is read with its events, in a statement of its own after the lock, so that it is what
    was committed last.
    """
    if not device_ids:
        return Standing(streams=[], events=[])
    return standing_from(await connection.execute(_STANDING, {"ids": list(device_ids)}))


def standing_from(rows: Iterable[Row[Any]]) -> Standing:
    """Read rows that have what is `shown`, by device and by the sequence of its event: a row an event, or one that
    has none.
    """
    streams: list[Stream] = []
    events: list[StoredEvent] = []
    cut: set[str] = set()
    parked: set[str] = set()
    for device_id, of_device in groupby(rows, lambda row: str(row.device_id)):
        found = list(of_device)
        if found[0].id is not None:
            streams.append(stream_from(found[0]))
        if found[0].event_id is None:
            continue
        if _is_parked(found[0]):
            parked.add(device_id)
            continue
        if len(found) > UNPUBLISHED_MAX:
            cut.add(device_id)
        events.extend(map(event_from, found[:UNPUBLISHED_MAX]))
    return Standing(streams=streams, events=events, cut=frozenset(cut), parked=frozenset(parked))


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


def shown(events: FromClause) -> list[ColumnElement[Any]]:
    """Return what `standing_from` wants to see: a device, its latest stream, one of these events, and whether the
    device is parked.
    """
    return [
        devices.c.id.label("device_id"),
        *(column for column in streams.c if column.name != "device_id"),
        *(column for column in events.c if column.name not in {"device_id", "published_at"}),
        relayed_devices.c.parked_at,
        relayed_devices.c.sequence.label("refused_sequence"),
    ]


_STANDING: Final = (
    select(*shown(stream_events))
    .select_from(devices)
    .outerjoin(streams, streams.c.id == devices.c.latest_stream_id)
    .outerjoin(stream_events, lowest_of(devices.c.id, UNPUBLISHED_MAX + 1))
    .outerjoin(relayed_devices, relayed_devices.c.device_id == devices.c.id)
    .where(among(devices.c.id, "ids"))
    .order_by(devices.c.id, stream_events.c.sequence)
)
