"""An inbox in front of another, for those that change one thing about it."""

from collections.abc import Sequence
from typing import NoReturn

from typing_extensions import override

from worker.service.messages import Incoming
from worker.service.ports import Inbox


class PassingInbox(Inbox):
    """Passes everything on."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    @override
    async def start(self) -> None:
        await self._inbox.start()

    @override
    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        return await self._inbox.take(limit, within_s=within_s)

    @override
    async def watch(self) -> NoReturn:
        await self._inbox.watch()

    @override
    async def close(self) -> None:
        await self._inbox.close()

    @override
    async def widen(self) -> bool:
        return await self._inbox.widen()

    @override
    async def pause(self) -> bool:
        return await self._inbox.pause()

    @override
    async def resume(self) -> None:
        await self._inbox.resume()
