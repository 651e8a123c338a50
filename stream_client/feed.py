"""Events from one queue over one link, until it is lost."""

import asyncio
from dataclasses import dataclass
from typing import Final, Self

import aiormq.abc
from aio_pika.abc import AbstractQueue
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity
from aiormq.abc import DeliveredMessage

from stream_client.broker_call import LinkLost, broker_call
from stream_client.errors import StreamMisconfigured
from stream_client.line import ADVICE
from stream_client.link import Link

PREFETCH: Final = 50
"""Enough to keep a subscriber busy; each costs the broker a redelivery when the connection is lost."""

_SETTLE_S: Final = 5.0

_DURABLE: Final[dict[str, str | int]] = {
    "x-queue-type": "quorum",
    # From RabbitMQ 4 on the default is 20, and a connection that is lost counts: a subscriber on a bad line would
    # lose events. An unreadable event is rejected once, so none goes round for ever.
    "x-delivery-limit": 1_000_000_000,
}
_TEMPORARY: Final[dict[str, str | int]] = {
    "x-max-length": 100_000
}  # a subscriber that hangs must not fill the broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """What a subscription wants: events by binding key, on a durable queue if it has a name."""

    exchange: str
    binding_key: str
    queue: str | None


class Feed:
    """Deliveries of one queue. `inbox` ends with None once the link is lost."""

    def __init__(self, link: Link, channel: aiormq.abc.AbstractChannel) -> None:
        self.inbox: asyncio.Queue[DeliveredMessage | None] = asyncio.Queue()
        self.link = link
        self._channel = channel
        link.lost.add_done_callback(lambda _: self.inbox.put_nowait(None))

    @classmethod
    async def open(cls, url: str, interest: Interest, *, within_s: float) -> Self:
        """Connect, declare and bind the queue, and consume it.

        Raises StreamUnavailable where the broker cannot be reached in time, StreamMisconfigured where it refuses.
        """
        async with Link.opening(url, name="stream-client events", within_s=within_s) as link:
            return await cls._consume(link, interest)

    @classmethod
    async def _consume(cls, link: Link, interest: Interest) -> Self:
        queue = await _declare(link, interest.queue)
        channel = await link.watch(queue.channel)
        try:
            await queue.bind(interest.exchange, interest.binding_key)
        except ChannelNotFoundEntity as error:
            raise StreamMisconfigured(f"there is no exchange {interest.exchange}; {ADVICE}") from error
        await channel.basic_qos(prefetch_count=PREFETCH)
        feed = cls(link, channel)
        await channel.basic_consume(queue.name, feed._receive)
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


async def _declare(link: Link, name: str | None) -> AbstractQueue:
    """Return the queue. A durable one that is there already is taken as it is: its owner may have given it other
    arguments.
    """
    if name is None:
        return await (await link.channel()).declare_queue(
            exclusive=True, auto_delete=True, arguments=dict(_TEMPORARY)
        )
    try:
        return await (await link.channel()).declare_queue(name, passive=True)
    except ChannelClosed:  # there is none, and the channel that asked is gone with the question
        return await (await link.channel()).declare_queue(name, durable=True, arguments=dict(_DURABLE))
