"""One channel in confirm mode."""

import asyncio
import contextlib
import logging
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiormq.channel import Channel
from aiormq.exceptions import ConnectionInternalError, DeliveryError, PublishError

from worker.amqp.deadline import GONE, deadline, was_cancelled
from worker.amqp.doubt import Doubt, Patience
from worker.amqp.messages import WireMessage
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

HELD_UP_MAX: Final = 200  # channels of an epoch that may be left behind

# How pamqp says that it cannot write a message; raised before anything was sent.
_UNWRITABLE: Final = (TypeError, ValueError, OverflowError, RecursionError, struct.error)


class ConfirmingChannel:
    """Sends many and reports each as confirmed, refused or unknown; what the broker does never raises.

    With `renew`, which opens another channel, what comes after a refusal is now and then sent on a new one. To a
    channel that first published to a quorum queue while the node of its leader was dying, RabbitMQ 3.10 refuses
    everything for that queue until that node is back, though the queue has long had another leader.

    With `canary` too, a message that goes nowhere, a broker that is gone is told from one that says nothing of
    some messages, as of those to a quorum queue that has lost its majority. Then these count as refused: one queue
    must not end the epochs of everybody. Such a queue may hold up a channel that sends to it for the first time,
    for minutes (RabbitMQ 3.10). Then only the first message counts as refused, what may wait is held up, and the
    rest goes over another channel.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        timeout_s: float,
        in_flight_max: int,
        renew: Callable[[], Awaitable[Channel]] | None = None,
        canary: WireMessage | None = None,
        doubt: Doubt | None = None,
    ) -> None:
        self._channel = channel
        self._senders: Counter[Channel] = Counter()
        self._renew = renew
        self._canary = canary
        self._doubt = doubt or Doubt()
        self._patience = Patience(timeout_s)
        self._held_up = 0
        self._timeout_s = timeout_s
        self._in_flight_max = in_flight_max

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._channel.is_closed

    @property
    def is_condemned(self) -> bool:
        """Whether the broker ended the connection by an internal error, 541: it broke over what was sent."""
        closing = self._channel.closing
        ended = closing.done() and not closing.cancelled()
        return ended and isinstance(closing.exception(), ConnectionInternalError)

    async def send(self, messages: Sequence[WireMessage]) -> list[Confirmation]:
        """Send all in order, at most `in_flight_max` at a time, and wait for every confirm.

        What comes after an unknown one is not sent, and unknown: one deadline has passed, and none shall follow.
        A message that cannot be written is refused, for it never will be.
        """
        if self._renew is not None and self._doubt.is_due():
            await self._go_over(self._renew)
        confirmations: list[Confirmation] = []
        for start in range(0, len(messages), self._in_flight_max):
            confirmations += await self._send_some(messages[start : start + self._in_flight_max])
            if Confirmation.UNKNOWN in confirmations:
                break
        return confirmations + [Confirmation.UNKNOWN] * (len(messages) - len(confirmations))

    async def _send_some(self, some: Sequence[WireMessage]) -> list[Confirmation]:
        channel = self._channel
        self._senders[channel] += 1
        try:
            ends = await asyncio.gather(*(self._send_one(message, channel) for message in some))
        finally:
            self._senders[channel] -= 1
            await self._leave(channel)
        if Confirmation.UNKNOWN in ends and self._canary is not None and not channel.is_closed:
            await self._ask_about(some, ends, channel, self._canary)
        return ends

    async def _ask_about(
        self, some: Sequence[WireMessage], ends: list[Confirmation], channel: Channel, canary: WireMessage
    ) -> None:
        """Find out what silence means, and put it into `ends`. Where the broker says nothing at all it stays."""
        silent = [place for place, end in enumerate(ends) if end is Confirmation.UNKNOWN]
        if await self._lives(channel, canary):
            guilty, behind = silent, []
        elif await self._lives_beside(canary):
            guilty, behind = silent[:1], silent[1:]
        else:
            return
        self._patience.lose()
        first = some[guilty[0]]
        said = {"exchange": first.exchange, "routing_key": first.routing_key, "count": len(guilty)}
        log.warning("publish.unanswered", extra=said)
        for place in silent:
            ends[place] = Confirmation.HELD_UP if place in behind else Confirmation.GIVEN_UP
        again = [place for place in behind if not some[place].may_wait]
        for place, end in zip(again, await self._send_some([some[place] for place in again]), strict=True):
            ends[place] = end

    async def _lives(self, channel: Channel, canary: WireMessage) -> bool:
        end = await self._send_one(canary, channel, timeout_s=self._patience.short_s)
        return end is Confirmation.CONFIRMED

    async def _lives_beside(self, canary: WireMessage) -> bool:
        """Whether the broker lives on another channel, which is taken then. The one before is left open: held up,
        it would not answer, and neither we nor the broker forget it before its connection ends.
        """
        if self._renew is None or self._held_up == HELD_UP_MAX:
            return False
        renewed = await self._renewed(self._renew)
        if renewed is None or not await self._lives(renewed, canary):
            return False
        self._channel = renewed
        self._held_up += 1
        return True

    async def _go_over(self, renew: Callable[[], Awaitable[Channel]]) -> None:
        """Send on a new channel from now on."""
        renewed = await self._renewed(renew)
        if renewed is not None:
            before, self._channel = self._channel, renewed
            await self._leave(before)

    async def _renewed(self, renew: Callable[[], Awaitable[Channel]]) -> Channel | None:
        try:
            async with deadline("opening another channel", self._patience.short_s):
                return await renew()
        except EpochOver as over:
            log.info("channel.not_renewed", extra={"reason": str(over)})
            return None

    async def _leave(self, channel: Channel) -> None:
        """Close a channel in whose place there is another, once nobody waits for a confirm on it any more."""
        if self._senders[channel]:
            return
        del self._senders[channel]
        if channel is not self._channel:
            with contextlib.suppress(EpochOver):  # that is told by the channel in its place
                async with deadline("closing a channel after a refusal", self._timeout_s):
                    await channel.close()

    async def _send_one(
        self, message: WireMessage, channel: Channel, *, timeout_s: float | None = None
    ) -> Confirmation:
        try:
            await channel.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=message.properties,
                mandatory=message.mandatory,
                timeout=self._patience.timeout_s if timeout_s is None else timeout_s,
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
