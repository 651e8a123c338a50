"""An epoch of a worker in memory that is under way while a test looks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.support.fake_broker import FakeSession
from tests.support.making import get, received
from tests.support.worker_in_memory import WorkerInMemory

DEADLINE_S = 30


class Running:
    """An epoch that is under way."""

    def __init__(self, worker: WorkerInMemory) -> None:
        self.worker = worker
        self.session: FakeSession = worker.broker.open()
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(worker.pipeline(self.session).run(self.stopping))

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.worker.broker.until(holds, within_s=DEADLINE_S)

    async def end(self) -> None:
        """Wait for the end of the epoch. Raises what it raised."""
        async with asyncio.timeout(DEADLINE_S):
            await self.task

    async def stop(self) -> None:
        self.stopping.set()
        await self.end()


@asynccontextmanager
async def running(worker: WorkerInMemory) -> AsyncIterator[Running]:
    epoch = Running(worker)
    try:
        yield epoch
    finally:
        epoch.task.cancel()
        await asyncio.wait({epoch.task})


def held(worker: WorkerInMemory) -> asyncio.Event:
    """Hold every confirm back until the event is set."""
    let_go = asyncio.Event()
    worker.broker.confirming = let_go.wait
    return let_go


def wide(worker: WorkerInMemory) -> WorkerInMemory:
    """Have a first command widen the inbox, so that the test's own come together."""
    worker.broker.send(received(get("warm-up"), reply_to=None))
    return worker
