"""One connection to the broker with one channel."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, cast

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError

from worker.amqp.deadline import deadline, reason
from worker.amqp.options import BrokerOptions
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S: Final = 2.0


class Link:
    """A connection that is opened once and closed once. No recovery: a lost link is replaced, never mended."""

    def __init__(self, connection: AbstractConnection, channel: Channel) -> None:
        self._connection = connection
        self.channel = channel

    @classmethod
    async def open(cls, options: BrokerOptions, *, purpose: str, confirms: bool) -> "Link":
        """Connect and open the channel. Raises EpochOver."""
        connection: AbstractConnection | None = None
        try:
            async with deadline("connecting to the broker", options.connect_timeout_s):
                connection = await aio_pika.connect(
                    options.url,
                    timeout=options.connect_timeout_s,
                    heartbeat=options.heartbeat_s,
                    client_properties={"connection_name": f"{options.worker_name} {purpose}"},
                )
                return cls(connection, await open_channel(connection, confirms=confirms))
        except BaseException:
            if connection is not None:
                await _close(connection)
            raise

    async def new_channel(self) -> Channel:
        """Open another channel on this connection, for a short errand."""
        return await open_channel(self._connection, confirms=False)

    def when_lost(self, tell: Callable[[EpochOver], None]) -> None:
        """Tell once when the channel or its connection is gone, whoever closed it."""
        self.channel.closing.add_done_callback(lambda closing: tell(EpochOver(_why(closing))))

    async def close(self) -> None:
        """Close, within a deadline; never raises for what the broker does."""
        await _close(self._connection)


async def open_channel(connection: AbstractConnection, *, confirms: bool) -> Channel:
    """Open a channel and return aiormq's own, which hides nothing. A returned message raises at its publisher."""
    channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
    await channel.initialize()
    return cast("Channel", await channel.get_underlay_channel())


async def _close(connection: AbstractConnection) -> None:
    with contextlib.suppress(AMQPError, OSError, TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await connection.close()


def _why(closing: "asyncio.Future[object]") -> str:
    error = None if closing.cancelled() else closing.exception()
    return f"the connection is gone: {reason(error)}" if error else "the connection is gone"
