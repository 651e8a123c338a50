"""The way out for commands and the way in for their replies: direct reply-to wants one channel for both."""

import asyncio
from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Final, Self, cast

import aiormq
from aio_pika import Message
from aio_pika.abc import AbstractExchange
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity, DeliveryError, PublishError
from aiormq.abc import DeliveredMessage

from stream_client.broker_call import LinkLost, LinkSlow, broker_call
from stream_client.errors import StreamMisconfigured, StreamUnavailable
from stream_client.link import Link

DIRECT_REPLY_TO: Final = "amq.rabbitmq.reply-to"
REFUSALS_MAX: Final = 2
"""In a row. A channel that first published while the queue's leader was dead may be refused for ever, however well
the queue is by then (RabbitMQ 3.10): after so many, another one is tried.
"""

ADVICE: Final = "is the worker's topology declared? (`stream-worker topology apply`)"


OnReply = Callable[[DeliveredMessage], None]


class Line:
    """One link that publishes commands and receives their replies."""

    def __init__(self, link: Link, exchange: AbstractExchange, on_reply: OnReply, *, unanswered: Sized) -> None:
        self.link = link
        self._exchange = exchange
        self._on_reply = on_reply
        self._heard_at_s = _now_s()
        self._refusals = 0
        self._unanswered = unanswered  # what the broker has neither taken nor refused yet, whoever still waits
        self._expected = 0  # replies that somebody waits for

    @classmethod
    async def open(cls, url: str, *, exchange: str, on_reply: OnReply, within_s: float) -> Self:
        """Connect, and listen for replies.

        Raises StreamUnavailable where the broker cannot be reached in time, StreamMisconfigured where it refuses.
        """
        async with Link.opening(url, name="stream-client commands", within_s=within_s) as link:
            channel = await link.channel(confirms=True)
            underlay = cast("aiormq.Channel", await link.watch(channel))
            way_out = await channel.get_exchange(exchange, ensure=False)
            line = cls(link, way_out, on_reply, unanswered=underlay.confirmations)
            await line._listen(underlay)
            return line

    async def send(self, message: Message, routing_key: str, *, within_s: float) -> None:
        """Publish a command and wait until the broker has it.

        Raises StreamUnavailable where the broker takes no more, StreamMisconfigured where nobody would get it,
        LinkLost where that remains unknown.
        """
        began_s = _now_s()
        try:
            async with broker_call(within_s):
                await self._publish(message, routing_key)
                self._heard_at_s = _now_s()
                self._refusals = 0
        except LinkSlow:
            await self._judge_silence(since_s=began_s)
            raise
        except LinkLost:
            self.link.give_up()
            raise
        except StreamMisconfigured as error:
            if len(self._unanswered) > 1 and _is_of_one(error.__cause__):
                self.link.give_up()
                raise LinkLost(f"it was closed for one of {len(self._unanswered)} commands: {error}") from error
            raise StreamMisconfigured(f"{error}; {ADVICE}") from error
        except StreamUnavailable:
            self._refusals += 1
            if self._refusals >= REFUSALS_MAX and not self._expected:
                self.link.give_up()
            raise

    async def _judge_silence(self, *, since_s: float) -> None:
        """Give it up where it is silent; a busy broker says something now and then.

        Raises LinkSlow where the broker has said why: another connection would wait too, and the broker, which
        does not read this one, would not notice that it is gone.
        """
        if await self.link.is_blocked():
            raise LinkSlow("the broker is short of memory or disk, and takes nothing for now")
        if self._heard_at_s < since_s:
            self.link.give_up()

    @contextmanager
    def expecting_reply(self) -> Iterator[None]:
        """Say that somebody waits for a reply inside the block: it would be lost with this line."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1

    async def _publish(self, message: Message, routing_key: str) -> None:
        try:
            await self._exchange.publish(message, routing_key, mandatory=True)
        except PublishError as error:
            raise StreamMisconfigured(f"no queue is bound to the exchange {self._exchange.name}") from error
        except DeliveryError as error:
            raise StreamUnavailable("the broker refused the command: its queue is full") from error

    async def _listen(self, channel: aiormq.abc.AbstractChannel) -> None:
        """Consume replies. The address lives and dies with this channel, and knows no acknowledgement."""
        await channel.basic_consume(DIRECT_REPLY_TO, self._receive, no_ack=True)

    async def _receive(self, reply: DeliveredMessage) -> None:
        self._heard_at_s = _now_s()
        self._on_reply(reply)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _is_of_one(refusal: BaseException | None) -> bool:
    """Whether it was one command that the broker closed the channel for; what is not there, is missing to all."""
    return isinstance(refusal, ChannelClosed) and not isinstance(refusal, ChannelNotFoundEntity)
