"""Replies to direct reply-to addresses, on a connection of their own.

On RabbitMQ 3.10 a forged address, and an honest one whose cluster node has died, ends the connection on which it
is published. This connection may end for that without anything else noticing.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.messages import WireMessage
from worker.amqp.reply_round import ReplyRound
from worker.amqp.reputation import Reputation
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

ENDS_MAX: Final = 12  # of the connection in one round, some 10 ms each: everybody else waits for them
CUTS_MAX: Final = 3  # by the network, in one round; then the epoch ends for it


class DirectReplies:
    """Sends direct replies. When the connection goes, it is rebuilt, and what was unknown is sent again.

    An address for which the broker ends the connection twice, by an internal error, is refused, and for the rest
    of the epoch at once. What the network cuts is nobody's fault. A round of replies may end the connection
    `ENDS_MAX` times; what has had no turn by then is refused too. That is what was forged: the kin of an address
    that proved good comes first. Or, where a dozen forged kinships are as large as theirs, it is the first in an
    epoch to ask through their node: who asks again gets the stored answer.
    """

    def __init__(self, reopen: Callable[[], Awaitable[ConfirmingChannel]]) -> None:
        self._reopen = reopen
        self._channel: ConfirmingChannel | None = None
        self._reputation = Reputation()

    async def open(self) -> None:
        """Connect. Raises EpochOver."""
        self._channel = await self._reopen()

    async def send(self, messages: Sequence[WireMessage]) -> list[Confirmation]:
        """Send all; UNKNOWN is only what is so although the connection still stands, or cannot be rebuilt.

        Then the rest is unknown too, and unsent: the broker is slow or away, and the epoch will end for it.
        """
        replies = ReplyRound(messages, self._reputation)
        try:
            await self._send_all(replies)
        except EpochOver as over:
            log.warning("direct_replies.unavailable", extra={"reason": str(over)})
        return replies.ends

    async def _send_all(self, replies: ReplyRound) -> None:
        ended = cut = 0
        while turn := replies.next_turn():
            channel = await self._ready()
            replies.note(turn, await channel.send(replies.messages_of(turn)), condemned=channel.is_condemned)
            if not channel.is_closed:
                if replies.is_unknown(turn):
                    return
                continue
            ended += 1
            if not channel.is_condemned:  # the network's doing: no address is to blame
                cut += 1
                if cut == CUTS_MAX:
                    return
            elif ended >= ENDS_MAX:
                log.warning("direct_replies.given_up", extra={"replies": replies.give_up(), "ended": ended})

    async def _ready(self) -> ConfirmingChannel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._reopen()
        return self._channel
