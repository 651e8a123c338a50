"""Replies to direct reply-to addresses, on a connection of their own.

On RabbitMQ 3.10 a forged address, and an honest one whose cluster node has died, ends the connection on which it
is published. This connection may end for that without anything else noticing.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.messages import WireMessage
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

TRIES_ALONE_MAX: Final = 2


class DirectReplies:
    """Sends direct replies. When the connection goes, it is rebuilt, and what was unknown goes out one by one."""

    def __init__(self, reopen: Callable[[], Awaitable[ConfirmingChannel]]) -> None:
        self._reopen = reopen
        self._channel: ConfirmingChannel | None = None

    async def open(self) -> None:
        """Connect. Raises EpochOver."""
        self._channel = await self._reopen()

    async def send(self, messages: Sequence[WireMessage]) -> list[Confirmation]:
        """Send all; UNKNOWN is only what is so although the connection still stands, or cannot be rebuilt.

        Then the rest is unknown too, and unsent: the broker is slow or away, and the epoch will end for it.
        """
        if not messages:
            return []
        confirmations = [Confirmation.UNKNOWN] * len(messages)
        try:
            channel = await self._ready()
            confirmations = await channel.send(messages)
            if channel.is_closed:
                await self._send_one_by_one(messages, confirmations)
        except EpochOver as over:
            log.warning("direct_replies.unavailable", extra={"reason": str(over)})
        return confirmations

    async def _send_one_by_one(self, messages: Sequence[WireMessage], confirmations: list[Confirmation]) -> None:
        """Replace what is unknown, until one stays so."""
        for index, message in enumerate(messages):
            if confirmations[index] is Confirmation.UNKNOWN:
                confirmations[index] = await self._send_alone(message)
                if confirmations[index] is Confirmation.UNKNOWN:
                    return

    async def _send_alone(self, message: WireMessage) -> Confirmation:
        for _ in range(TRIES_ALONE_MAX):
            channel = await self._ready()
            (confirmation,) = await channel.send([message])
            if confirmation is not Confirmation.UNKNOWN or not channel.is_closed:
                return confirmation
        log.warning("direct_reply.ended_the_connection", extra={"reply_to": message.routing_key})
        return Confirmation.REFUSED

    async def _ready(self) -> ConfirmingChannel:
        if self._channel is None or self._channel.is_closed:
            self._channel = await self._reopen()
        return self._channel
