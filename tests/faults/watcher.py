"""Looks at the workers of a trial all the time: what they say of themselves, and what they occupy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self

from aiormq.abc import AbstractChannel
from typing_extensions import override

from stream_client.broker_call import broker_call
from stream_client.link import Link
from tests.faults.checks.health import Footprint, Pulse
from tests.faults.ear import TROUBLE
from tests.faults.journal import now_s
from tests.faults.world import World

LOOK_EVERY_S: Final = 0.25

_OPENED: Final = {"Channel.OpenOk": 1, "Channel.CloseOk": -1}
_OPEN_WITHIN_S: Final = 5.0
_ASK_WITHIN_S: Final = 2.0


class Watcher(AbstractAsyncContextManager["Watcher"]):
    """Takes a pulse of every worker four times a second. While the broker does not answer it has none to take."""

    def __init__(self, world: World) -> None:
        self._url = world.servers.broker.url
        self._queue = f"{world.namespace}.commands"
        self._keepers = world.keepers
        self._proxy = world.amqp
        self._journal = world.crowd.journal
        self._asking = asyncio.Lock()
        self.pulses: list[Pulse] = []

    @override
    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch(), name="watcher")
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        (end,) = await asyncio.gather(self._watching, return_exceptions=True)
        if isinstance(end, Exception) and error is None:
            raise end

    async def looked(self, times: int, *, within_s: float = 10.0) -> None:
        """Wait until so many more looks were taken. Raises TimeoutError."""
        enough = len(self.pulses) + times * len(self._keepers)
        async with asyncio.timeout(within_s):
            while len(self.pulses) < enough:  # noqa: ASYNC110 - another task takes them
                await asyncio.sleep(LOOK_EVERY_S / 5)

    @asynccontextmanager
    async def looking_away(self) -> AsyncIterator[None]:
        """Ask no worker how it is inside of the block: a task and a connection of it answer each who does."""
        async with self._asking:
            yield

    def footprint(self) -> Footprint:
        """Return what all workers occupy together; nothing where this system does not tell."""
        pids = [keeper.worker.process.pid for keeper in self._keepers]
        open_now = self._proxy.names
        return Footprint(
            fds=sum(map(_fds, pids)),
            rss_bytes=sum(map(_rss_bytes, pids)),
            connections=len(open_now),
            channels=sum(_OPENED.get(said.method, 0) for said in self._proxy.said if said.number in open_now),
        )

    async def footprint_with_tasks(self) -> Footprint:
        """Return it with the first worker's tasks, for which that one has to be asked."""
        return replace(self.footprint(), tasks=await self._keepers[0].worker.tasks())

    async def _watch(self) -> NoReturn:
        while True:
            try:
                async with Link.opening(self._url, name="watcher", within_s=_OPEN_WITHIN_S) as link:
                    channel = await link.watch(await link.channel())
                try:
                    while True:
                        await self._look(channel)
                        await asyncio.sleep(LOOK_EVERY_S)
                finally:
                    await link.close()
            except TROUBLE:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self, channel: AbstractChannel) -> None:
        async with broker_call(_ASK_WITHIN_S):
            told = await channel.queue_declare(self._queue, passive=True)
        async with self._asking:
            looks = await asyncio.gather(*(keeper.worker.readiness() for keeper in self._keepers))
        ready = [status == 200 for status, _ in looks]
        for number, is_ready in enumerate(ready):
            self.pulses.append(
                Pulse(
                    at_s=now_s(),
                    is_ready=is_ready,
                    consumers=told.consumer_count or 0,
                    waiting=told.message_count or 0,
                    answered=self._journal.answers,
                    worker=number,
                    ready_workers=sum(ready),
                )
            )


def _fds(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return 0


def _rss_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii")
    except OSError:
        return 0
    kilobytes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0
