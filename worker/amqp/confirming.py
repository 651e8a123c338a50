"""One channel in confirm mode."""

import asyncio
import contextlib
import logging
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError

from worker.amqp.deadline import GONE, deadline, was_cancelled
from worker.amqp.doubt import Doubt
from worker.amqp.messages import WireMessage
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

# How pamqp says that it cannot write a message; raised before anything was sent.
_UNWRITABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, struct.error)


class ConfirmingChannel:
    """Sends many and reports each as confirmed, refused or unknown; what the broker does never raises.

    With `renew`, which opens another channel, what comes after a refusal is now and then sent on a new one. To a
    channel that first published to a quorum queue while the node of its leader was dying, RabbitMQ 3.10 refuses
    everything for that queue until that node is back, though the queue has long had another leader.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        timeout_s: float,
        in_flight_max: int,
        renew: Callable[[], Awaitable[Channel]] | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        self._channel = channel
        self._senders: Counter[Channel] = Counter()
        self._renew = renew
        self._doubt = doubt or Doubt()
        self._timeout_s = timeout_s
        self._in_flight_max = in_flight_max

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._channel.is_closed

    async def send(self, messages: Sequence[WireMessage]) -> list[Confirmation]:
        """Send all in order, at most `in_flight_max` at a time, and wait for every confirm.

        What comes after an unknown one is not sent, and unknown: one deadline has passed, and none shall follow.
        A message that cannot be written is refused, for it never will be.
        """
        if self._renew is not None and self._doubt.is_due():
            await self._go_over(self._renew)
        channel = self._channel
        self._senders[channel] += 1
        try:
            return await self._send_all(messages, channel)
        finally:
            self._senders[channel] -= 1
            await self._leave(channel)

    async def _send_all(self, messages: Sequence[WireMessage], channel: Channel) -> list[Confirmation]:
        confirmations: list[Confirmation] = []
        for start in range(0, len(messages), self._in_flight_max):
            some = messages[start : start + self._in_flight_max]
            confirmations += await asyncio.gather(*(self._send_one(message, channel) for message in some))
            if Confirmation.UNKNOWN in confirmations:
                break
        return confirmations + [Confirmation.UNKNOWN] * (len(messages) - len(confirmations))

    async def _go_over(self, renew: Callable[[], Awaitable[Channel]]) -> None:
        """Send on a new channel from now on."""
        try:
            async with deadline("opening a channel after a refusal", self._timeout_s):
                renewed = await renew()
        except EpochOver as over:
            log.info("channel.not_renewed", extra={"reason": str(over)})
            return
        before, self._channel = self._channel, renewed
        await self._leave(before)

    async def _leave(self, channel: Channel) -> None:
        """Close a channel in whose place there is another, once nobody waits for a confirm on it any more."""
        if self._senders[channel]:
            return
        del self._senders[channel]
        if channel is not self._channel:
            with contextlib.suppress(EpochOver):  # that is told by the channel in its place
                async with deadline("closing a channel after a refusal", self._timeout_s):
                    await channel.close()

    async def _send_one(self, message: WireMessage, channel: Channel) -> Confirmation:
        try:
            await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=message.properties,
                mandatory=message.mandatory,
                timeout=self._timeout_s,
                wait=False,
            )
        except DeliveryError as refused:  # a nack, or a mandatory message that came back
            log.info("publish.refused", extra={"exchange": message.exchange, "refusal": type(refused).__name__})
            if not isinstance(refused, PublishError):
                self._doubt.refused()
            return Confirmation.REFUSED
        except GONE as lost:  # a TimeoutError is an OSError
            log.info("publish.unknown", extra={"exchange": message.exchange, "reason": type(lost).__name__})
            return Confirmation.UNKNOWN
        except _UNWRITABLE as error:
            return self._unwritable(message, error, channel)
        except asyncio.CancelledError:
            if was_cancelled():
                raise
            return Confirmation.UNKNOWN  # aiormq gave the connection up and says so in this odd way
        return Confirmation.CONFIRMED

    def _unwritable(self, message: WireMessage, error: Exception, channel: Channel) -> Confirmation:
        """Refuse what cannot be written. A channel that broke over a frame from the broker raises the same kinds
        of errors, at messages which may have been sent.
        """
        if channel.is_closed:
            return Confirmation.UNKNOWN
        log.error("publish.unwritable", extra={"exchange": message.exchange, "reason": type(error).__name__})
        return Confirmation.REFUSED
