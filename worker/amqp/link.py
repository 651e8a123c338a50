"""One connection to the broker with one channel."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, cast

import aio_pika
from aiormq.channel import Channel
from aiormq.exceptions import AMQPConnectionError, ChannelInvalidStateError, InvalidFrameError

from worker.amqp import tls
from worker.amqp.deadline import deadline, reason
from worker.amqp.options import BrokerOptions
from worker.amqp.transport import CuttableConnection
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S: Final = 2.5  # aiormq itself waits 2 s for the broker's goodbye
CUT_TIMEOUT_S: Final = 1.0


class Link:
    """A connection that is opened once and closed once. No recovery: a lost link is replaced, never mended."""

    def __init__(self, connection: CuttableConnection, channel: Channel) -> None:
        self._connection = connection
        self._tell: Callable[[EpochOver], None] | None = None
        self.channel = channel

    @classmethod
    async def open(cls, options: BrokerOptions, *, purpose: str, confirms: bool) -> "Link":
        """Connect and open the channel. Raises EpochOver."""
        async with deadline("connecting to the broker", options.connect_timeout_s):
            connection = await _connect(options, purpose)
            try:
                return cls(connection, await open_channel(connection, confirms=confirms))
            except BaseException:
                connection.cut()  # there is no time left for a goodbye
                await _close(connection)
                raise

    async def new_channel(self, *, confirms: bool = False) -> Channel:
        """Open another channel on this connection."""
        return await open_channel(self._connection, confirms=confirms)

    async def renew(self, *, confirms: bool) -> Channel:
        """Put another channel in the place of the one there is; that is left open, and its end told to nobody."""
        renewed = await self.new_channel(confirms=confirms)
        self.channel = renewed
        self._watch(renewed)
        return renewed

    def when_lost(self, tell: Callable[[EpochOver], None]) -> None:
        """Tell once when the channel or its connection is gone, whoever closed it."""
        self._tell = tell
        self._watch(self.channel)

    def _watch(self, channel: Channel) -> None:
        def lost(closing: "asyncio.Future[object]") -> None:
            if self._tell is not None and channel is self.channel:
                self._tell(EpochOver(_why(closing)))

        channel.closing.add_done_callback(lost)

    async def close(self) -> None:
        """Say goodbye within a deadline, else cut the line. Never raises for what the broker does."""
        await _close(self._connection)


async def _connect(options: BrokerOptions, purpose: str) -> CuttableConnection:
    context = await asyncio.to_thread(tls.client_context, options.url)
    try:
        return await aio_pika.connect(
            options.url,
            ssl_context=context,
            timeout=options.connect_timeout_s,
            heartbeat=options.heartbeat_s,
            client_properties={"connection_name": f"{options.worker_name} {purpose}"},
            connection_class=CuttableConnection,
        )
    except InvalidFrameError as refused:  # a Connection.Close in the place of an answer, whose text aiormq drops
        raise EpochOver(
            "connecting to the broker: it closed the connection before it was open; "
            "is there such a virtual host, and may this user enter it?"
        ) from refused
    except (AMQPConnectionError, StopAsyncIteration) as failed:
        if (why := tls.why(failed, options.url)) is None:
            raise
        raise EpochOver(f"connecting to the broker: {why}") from failed


async def open_channel(connection: CuttableConnection, *, confirms: bool) -> Channel:
    """Open a channel of aiormq's, which hides nothing and leaves nothing behind: aio_pika's would leave a task a
    channel, and a channel may be opened every second. A returned message raises at its publisher.

    Raises what `worker.amqp.deadline` translates.
    """
    if connection.transport is None:
        raise ChannelInvalidStateError("the connection is closed")
    underlay = connection.transport.connection
    try:
        channel = await underlay.channel(publisher_confirms=confirms, on_return_raises=confirms)
        return cast("Channel", channel)
    except RuntimeError as closed:  # how both libraries say that the connection is closed
        raise ChannelInvalidStateError("the connection is closed") from closed


async def _close(connection: CuttableConnection) -> None:
    closing = asyncio.create_task(connection.close(), name="link.close")
    try:
        await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)
    finally:
        if not closing.done():
            log.info("link.cut", extra={"after_s": CLOSE_TIMEOUT_S})
            connection.cut()
    await asyncio.wait({closing}, timeout=CUT_TIMEOUT_S)
    if closing.done() and not closing.cancelled() and (error := closing.exception()) is not None:
        log.info("link.close_failed", extra={"reason": reason(error)})


def _why(closing: "asyncio.Future[object]") -> str:
    error = None if closing.cancelled() else closing.exception()
    if isinstance(error, asyncio.CancelledError):
        return "the connection is gone: the broker was not heard of for three heartbeats"
    return f"the connection is gone: {reason(error)}" if error else "the connection is gone"
