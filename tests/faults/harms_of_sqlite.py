"""What can be done to a SQLite file beside a worker, each for as long as a block lasts."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiosqlite

from tests.faults.world import World

LOCK_WITHIN_S: Final = 60.0
FULL_AT_BYTES: Final = 256 * 1024  # what the workers log by then is less
BUSY_S: Final = 0.3  # a little longer than a worker waits for a lock
FREE_S: Final = 0.1


@asynccontextmanager
async def locked(world: World) -> AsyncIterator[None]:
    """Hold the file's lock for writing, as a backup or a person with a shell does. It can be read."""
    async with aiosqlite.connect(world.sqlite_file, timeout=LOCK_WITHIN_S, isolation_level=None) as connection:
        await connection.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            await connection.rollback()


@asynccontextmanager
async def contended(world: World) -> AsyncIterator[None]:
    """Take the lock again and again."""
    contending = asyncio.create_task(_contend(world), name="contend")
    try:
        yield
    finally:
        contending.cancel()
        await asyncio.gather(contending, return_exceptions=True)


@asynccontextmanager
async def full(world: World) -> AsyncIterator[None]:
    """Let the workers' files grow no more: to them it is a disk that is full."""
    pids = [keeper.worker.process.pid for keeper in world.keepers]
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (FULL_AT_BYTES, hard))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


async def _contend(world: World) -> None:
    while True:
        async with locked(world):
            await asyncio.sleep(BUSY_S)
        await asyncio.sleep(FREE_S)
