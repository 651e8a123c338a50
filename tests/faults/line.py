"""The way out for commands, one at a time, and the way in for what comes back by direct reply-to."""

from collections.abc import Callable
from typing import Final

from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import DeliveryError, PublishError
from pamqp.commands import Basic

from stream_client.broker_call import broker_call
from stream_client.line import REFUSALS_MAX
from stream_client.link import Link
from tests.faults.ear import TROUBLE
from tests.faults.history import Fate, Request

DIRECT: Final = "amq.rabbitmq.reply-to"

_OPEN_WITHIN_S: Final = 5.0
_CONFIRM_WITHIN_S: Final = 5.0


class Line:
    """A connection that is opened when it is needed and again after it was lost.

    One publish at a time: with two of the same message id under way, the broker's return of one is taken for the
    other's.
    """

    def __init__(self, url: str, *, namespace: str, name: str, hear: Callable[[DeliveredMessage], None]) -> None:
        self._url = url
        self._namespace = namespace
        self._name = name
        self._hear = hear
        self._open: tuple[Link, AbstractChannel] | None = None
        self._nacks = 0  # in a row

    async def publish(self, request: Request) -> Fate:
        """Try once. Refused is what was returned, nacked, or never left; unknown is what may have arrived."""
        try:
            channel = await self._channel()
        except TROUBLE:
            return Fate.REFUSED
        try:
            async with broker_call(_CONFIRM_WITHIN_S):
                fate = await self._publish(channel, request)
        except TROUBLE:
            await self.close()
            return Fate.UNKNOWN
        if self._nacks >= REFUSALS_MAX:
            await self.close()
        return fate

    async def close(self) -> None:
        """Close what is open."""
        opened, self._open = self._open, None
        self._nacks = 0
        if opened is not None:
            await opened[0].close()

    async def _channel(self) -> AbstractChannel:
        if self._open is not None and self._open[0].lost.done():
            await self.close()
        if self._open is None:
            async with Link.opening(self._url, name=self._name, within_s=_OPEN_WITHIN_S) as link:
                channel = await link.watch(await link.channel(confirms=True))
                await channel.basic_consume(DIRECT, self._listen, no_ack=True)
            self._open = link, channel
        return self._open[1]

    async def _publish(self, channel: AbstractChannel, request: Request) -> Fate:
        properties = Basic.Properties(
            content_type="application/json",
            delivery_mode=2,
            message_type=request.kind,
            message_id=_Nameless() if request.message_id is None else request.message_id,
            correlation_id=request.correlation_id,
            reply_to=request.reply_to,
            user_id=request.sender or None,
        )
        exchange = f"{self._namespace}.commands"
        try:
            await channel.basic_publish(
                request.body, exchange=exchange, routing_key=request.asker, properties=properties, mandatory=True
            )
        except PublishError:
            return Fate.REFUSED
        except DeliveryError:
            self._nacks += 1
            return Fate.REFUSED
        self._nacks = 0
        return Fate.CONFIRMED

    async def _listen(self, message: DeliveredMessage) -> None:
        self._hear(message)


class _Nameless(str):
    """An empty message id, which is not written. aiormq makes one up for a message whose id is false."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True
