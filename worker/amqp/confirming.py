"""One channel in confirm mode."""

import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiormq.channel import Channel
from aiormq.exceptions import ConnectionInternalError

from worker.amqp.burst import End, send_burst
from worker.amqp.deadline import deadline
from worker.amqp.doubt import Doubt, Patience
from worker.amqp.messages import WireMessage
from worker.amqp.silence import Silence
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

SILENCES_MAX: Final = 5  # in a row, in one call

_CONFIRMATIONS: Final = {
    End.CONFIRMED: Confirmation.CONFIRMED,
    End.NACKED: Confirmation.REFUSED,
    End.RETURNED: Confirmation.REFUSED,
    End.UNWRITABLE: Confirmation.GIVEN_UP,
    End.UNKNOWN: Confirmation.UNKNOWN,
}


class ConfirmingChannel:
    """Sends many and reports each as confirmed, refused or unknown; what the broker does never raises.

    With `renew`, which opens another channel, what comes after a refusal is now and then sent on a new one. To a
    channel that first published to a quorum queue while the node of its leader was dying, RabbitMQ 3.10 refuses
    everything for that queue until that node is back, though the queue has long had another leader.

    With `canary` too, a message that goes nowhere, what a living broker says nothing of counts as refused: one
    queue must not end the epochs of everybody. Where it holds up the channel, only the first message counts as
    refused, what may wait is held up, and the rest goes over another channel.
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
        patience: Patience | None = None,
    ) -> None:
        self._channel = channel
        self._senders: Counter[Channel] = Counter()
        self._held_up: set[Channel] = set()
        self._renew = renew
        self._doubt = doubt or Doubt()
        self._patience = patience or Patience(timeout_s)
        self._silence = Silence(canary, self._patience, self._renewed) if canary is not None else None
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
            await self._go_over()
        if self._held_up:
            await self._leave_what_has_answered()
        confirmations: list[Confirmation] = []
        for start in range(0, len(messages), self._in_flight_max):
            confirmations += await self._send_some(messages[start : start + self._in_flight_max])
            if Confirmation.UNKNOWN in confirmations:
                break
        return confirmations + [Confirmation.UNKNOWN] * (len(messages) - len(confirmations))

    async def _send_some(self, some: Sequence[WireMessage], *, silences: int = 0) -> list[Confirmation]:
        channel = self._channel
        self._senders[channel] += 1
        try:
            ends = await send_burst(channel, some, timeout_s=self._patience.timeout_s)
        finally:
            self._senders[channel] -= 1
            await self._leave(channel)
        confirmations = [_CONFIRMATIONS[end] for end in ends]
        if ends.count(End.CONFIRMED) < len(ends):
            self._say(channel, some, ends)
            if Confirmation.UNKNOWN in confirmations and self._silence is not None and not channel.is_closed:
                await self._ask_about(some, confirmations, channel, self._silence, silences=silences + 1)
        return confirmations

    def _say(self, channel: Channel, some: Sequence[WireMessage], ends: Sequence[End]) -> None:
        sorts = Counter((message.exchange, end) for message, end in zip(some, ends, strict=True))
        for (exchange, end), count in sorts.items():
            said = {"exchange": exchange, "count": count}
            if end is End.UNKNOWN:
                why = "the channel is closed" if channel.is_closed else "no confirm in time"
                log.info("publish.unknown", extra=said | {"reason": why})
            elif end in {End.NACKED, End.RETURNED}:
                log.info("publish.refused", extra=said | {"refusal": end.name.lower()})
        if End.NACKED in ends:
            self._doubt.refused()

    async def _ask_about(
        self,
        some: Sequence[WireMessage],
        ends: list[Confirmation],
        channel: Channel,
        silence: Silence,
        *,
        silences: int,
    ) -> None:
        """Find out what silence means, and put it into `ends`. Where the broker says nothing at all it stays.
        After `SILENCES_MAX` in a row what stands behind is given up too, for everybody waits.
        """
        silent = [place for place, end in enumerate(ends) if end is Confirmation.UNKNOWN]
        living = await silence.living(channel)
        if living is None:
            return
        first_behind = len(silent) if living is channel else 1
        guilty, behind = silent[:first_behind], silent[first_behind:]
        first = some[guilty[0]]
        said = {"exchange": first.exchange, "routing_key": first.routing_key, "count": len(guilty)}
        log.warning("publish.unanswered", extra=said)
        for place in silent:
            ends[place] = Confirmation.HELD_UP if place in behind else Confirmation.GIVEN_UP
        if living is not channel:
            self._channel = living
            self._held_up.add(channel)
        again = [place for place in behind if not some[place].may_wait]
        if silences == SILENCES_MAX:
            again_ends = [Confirmation.GIVEN_UP] * len(again)
        else:
            again_ends = await self._send_some([some[place] for place in again], silences=silences)
        for place, end in zip(again, again_ends, strict=True):
            ends[place] = end

    async def _go_over(self) -> None:
        """Send on a new channel from now on."""
        renewed = await self._renewed()
        if renewed is not None:
            before, self._channel = self._channel, renewed
            await self._leave(before)

    async def _renewed(self) -> Channel | None:
        if self._renew is None:
            return None
        try:
            async with deadline("opening another channel", self._patience.short_s):
                return await self._renew()
        except EpochOver as over:
            log.info("channel.not_renewed", extra={"reason": str(over)})
            return None

    async def _leave_what_has_answered(self) -> None:
        """Close those on which the broker has said in the end what it had not, as after an alarm."""
        for channel in [one for one in self._held_up if not one.confirmations]:
            self._held_up.discard(channel)
            await self._leave(channel)

    async def _leave(self, channel: Channel) -> None:
        """Close a channel in whose place there is another, once nobody waits for a confirm on it any more."""
        if self._senders[channel]:
            return
        del self._senders[channel]
        if channel is not self._channel and channel not in self._held_up:
            with contextlib.suppress(EpochOver):  # that is told by the channel in its place
                async with deadline("closing a channel after a refusal", self._timeout_s):
                    await channel.close()
