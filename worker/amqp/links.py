"""The connections of one epoch."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from typing_extensions import override

from worker.amqp.link import Link
from worker.amqp.options import BrokerOptions


class Links(AbstractAsyncContextManager["Links"]):
    """Connections by purpose. All that are left are closed at the end, at the same time: a broker that answers
    nobody would otherwise be waited for once for each.
    """

    def __init__(self, options: BrokerOptions) -> None:
        self._options = options
        self._by_purpose: dict[str, Link] = {}

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(link.close() for link in self._by_purpose.values()))

    async def open(self, purpose: str, *, confirms: bool) -> Link:
        """Connect; the one that served this purpose before is closed. Raises EpochOver."""
        if purpose in self._by_purpose:
            await self._by_purpose.pop(purpose).close()
        link = await Link.open(self._options, purpose=purpose, confirms=confirms)
        self._by_purpose[purpose] = link
        return link
