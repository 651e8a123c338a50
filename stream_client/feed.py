"""Events from one queue over one link, until it is lost."""

import asyncio
from typing import Final, Self

import aiormq.abc
from aiormq.abc import DeliveredMessage

from stream_client.broker_call import LinkLost, broker_call
from stream_client.errors import StreamMisconfigured
from stream_client.link import Link
from stream_client.sources import Source

PREFETCH: Final = 50
"""Enough to keep a subscriber busy; each costs the broker a redelivery when the connection is lost."""

_SETTLE_S: Final = 5.0


class Feed:
    """Deliveries of one queue. `inbox` ends with None once the link is lost."""

    def __init__(self, link: Link, channel: aiormq.abc.AbstractChannel) -> None:
        self.inbox: asyncio.Queue[DeliveredMessage | None] = asyncio.Queue()
        self.link = link
        self._channel = channel
        link.lost.add_done_callback(lambda _: self.inbox.put_nowait(None))

    @classmethod
    async def open(cls, url: str, source: Source, *, within_s: float) -> Self:
        """Connect, make the source ready, and consume it.

        Raises StreamUnavailable where the broker cannot be reached in time, StreamMisconfigured where it refuses.
        """
        async with Link.opening(
            url, name="stream-client events", within_s=within_s, ready_s=source.ready_s
        ) as link:
            ready = await source.ready(link)
            channel = await link.watch(ready.channel)
            await channel.basic_qos(prefetch_count=PREFETCH)
            feed = cls(link, channel)
            await channel.basic_consume(ready.queue, feed._receive, arguments=ready.arguments)
            return feed

    async def _receive(self, delivery: DeliveredMessage) -> None:
        """Only enqueue: the library cancels this when the channel closes."""
        self.inbox.put_nowait(delivery)

    async def acknowledge(self, delivery: DeliveredMessage) -> None:
        """Let the broker forget this one. Where that fails the link is lost, and the event comes again."""
        await self._settle(delivery, done=True)

    async def reject(self, delivery: DeliveredMessage) -> None:
        """Give this one to the queue's dead-letter exchange if it has one, else drop it."""
        await self._settle(delivery, done=False)

    async def _settle(self, delivery: DeliveredMessage, *, done: bool) -> None:
        tag = delivery.delivery_tag or 0
        try:
            async with broker_call(_SETTLE_S):
                if done:
                    await self._channel.basic_ack(tag)
                else:
                    await self._channel.basic_reject(tag, requeue=False)
        except (LinkLost, StreamMisconfigured):
            self.link.give_up()
