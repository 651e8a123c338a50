"""Parked devices, for whoever looks after them: seen from outside of the pipeline, while workers are at work."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from worker.service.ports import StoreUnavailable
from worker.sql.among import among
from worker.sql.errors import Phase, translated
from worker.sql.tables import relayed_devices, stream_events

_behind: Final = stream_events.alias("behind")

# What a batch and the relay go by: it rests, and the event that it was refused for is still to be published.
_PARKED: Final = and_(
    relayed_devices.c.parked_at.is_not(None),
    stream_events.c.device_id == relayed_devices.c.device_id,
    stream_events.c.sequence == relayed_devices.c.sequence,
    stream_events.c.published_at.is_(None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedDevice:
    """A device whose next event the broker refused too often, and how many events wait behind that one."""

    device_id: str
    sequence: int
    event_id: UUID
    type: str
    refusals: int
    parked_at: datetime
    retry_at: datetime
    behind: int


class ParkedDevices:
    """Shows parked devices and frees them. All of it raises StoreUnavailable, within `timeout_s`."""

    def __init__(self, engine: AsyncEngine, *, reader: AsyncEngine, timeout_s: float) -> None:
        self._engine = engine
        self._reader = reader
        self._timeout_s = timeout_s

    async def look(self, *, limit: int) -> Sequence[ParkedDevice]:
        """Return the first parked devices, by id. Changes nothing."""
        async with self._transaction(self._reader) as connection:
            rows = await connection.execute(_first(limit))
            return [ParkedDevice(**row) for row in rows.mappings()]

    async def count(self) -> int:
        """Return how many devices are parked. Changes nothing."""
        async with self._transaction(self._reader) as connection:
            counting = select(func.count()).select_from(relayed_devices).join(stream_events, _PARKED)
            return int((await connection.execute(counting)).scalar_one())

    async def free(self, device_ids: Collection[str] | None, *, dry_run: bool = False) -> Sequence[str]:
        """Have these devices, or all where it is None, tried again at the next look of a worker's relay. Return
        those that were parked, sorted; with `dry_run` change nothing.

        What was counted is forgotten, and whose the device was: any worker may take it, and batches publish for it
        again.
        """
        async with self._transaction(self._reader if dry_run else self._engine) as connection:
            found = (await connection.execute(*_named(device_ids))).scalars().all()
            if found and not dry_run:
                theirs = among(relayed_devices.c.device_id, "ids")
                await connection.execute(delete(relayed_devices).where(theirs), {"ids": list(found)})
            return sorted(found)

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()
        await self._reader.dispose()

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(self._timeout_s):
                with translated(Phase.CONNECT):
                    connection = await engine.connect()
                try:
                    with translated(Phase.WORK):  # a COMMIT without an answer too: asking again is harmless
                        async with connection.begin():
                            yield connection
                finally:
                    await connection.close()
        except TimeoutError as late:
            raise StoreUnavailable(f"the database took longer than {self._timeout_s:g} s") from late


def _first(limit: int) -> Select[Any]:
    waiting = and_(
        _behind.c.device_id == relayed_devices.c.device_id,
        _behind.c.published_at.is_(None),
        _behind.c.sequence > relayed_devices.c.sequence,
    )
    return (
        select(
            relayed_devices.c.device_id,
            relayed_devices.c.sequence,
            stream_events.c.event_id,
            stream_events.c.type,
            relayed_devices.c.refusals,
            relayed_devices.c.parked_at,
            relayed_devices.c.retry_at,
            select(func.count()).where(waiting).scalar_subquery().label("behind"),
        )
        .select_from(relayed_devices)
        .join(stream_events, _PARKED)
        .order_by(relayed_devices.c.device_id)
        .limit(limit)
    )


def _named(device_ids: Collection[str] | None) -> tuple[Select[Any], dict[str, list[str]]]:
    """Return what finds those of these devices that are parked, and its parameters."""
    found = select(relayed_devices.c.device_id).select_from(relayed_devices).join(stream_events, _PARKED)
    if device_ids is None:
        return found, {}
    return found.where(among(relayed_devices.c.device_id, "ids")), {"ids": list(device_ids)}
