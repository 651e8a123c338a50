"""Work on events that the broker refuses, for the command line."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from migrations import runner
from worker.bootstrap import parts
from worker.bootstrap.epochs import NotMigrated
from worker.config import Settings
from worker.sql.engine import make_parked_devices
from worker.sql.parked import ParkedDevice, ParkedDevices

BUSY_TIMEOUT_S: Final = 5.0  # nobody is kept waiting but whoever asked; a worker writes often, and shortly


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """Parked devices, the first of them, and how many there are."""

    devices: Sequence[ParkedDevice]
    count: int


async def parked(settings: Settings, *, limit: int) -> Parked:
    """Return the first parked devices. Raises NotMigrated, StoreUnavailable, DatabaseUnavailable."""
    async with _opened(settings) as devices:
        return Parked(devices=await devices.look(limit=limit), count=await devices.count())


async def free(settings: Settings, device_ids: Collection[str] | None, *, dry_run: bool) -> Sequence[str]:
    """Have parked devices tried again, all where it is None; return which. Raises as `parked` does."""
    async with _opened(settings) as devices:
        return await devices.free(device_ids, dry_run=dry_run)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[ParkedDevices]:
    url = settings.database_url.get_secret_value()
    if not await asyncio.to_thread(runner.is_current, url):
        raise NotMigrated(
            f"The database {settings.database_shown} is not at the revision of this program. "
            "Run `stream-worker db upgrade` with the same STREAMS_DATABASE_URL."
        )
    options = replace(parts.store_options(settings), busy_timeout_s=BUSY_TIMEOUT_S)
    devices = make_parked_devices(url, options=options)
    try:
        yield devices
    finally:
        await devices.close()
