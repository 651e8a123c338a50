"""What stands in for the part of a channel that acknowledgements are written to."""

import asyncio
from collections.abc import Awaitable, Callable

from aiormq.abc import ChannelFrame
from pamqp import frame
from pamqp.commands import Basic


class Writing:
    """The fields of aiormq's channel that `write_all` uses; each acknowledgement that it writes is told."""

    number = 1
    is_closed = False

    def __init__(self, acknowledged: Callable[[Basic.Ack], Awaitable[None]]) -> None:
        self.write_queue = self
        self._acknowledged = acknowledged

    def create_future(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

    async def put(self, written: ChannelFrame) -> None:
        payload = written.payload
        while payload:
            size, _, ack = frame.unmarshal(payload)
            payload = payload[size:]
            assert isinstance(ack, Basic.Ack)
            await self._acknowledged(ack)
        written.drain()
