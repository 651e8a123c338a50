"""Settling: the only place that acknowledges or rejects a delivery."""

import logging
from collections.abc import Sequence

from aiormq.channel import Channel
from pamqp.commands import Basic
from typing_extensions import override

from worker.amqp.burst import write_all
from worker.amqp.deadline import deadline
from worker.amqp.hand import Hand
from worker.service.messages import DeadLetter, Delivery
from worker.service.ports import Settlement

log = logging.getLogger(__name__)


class ChannelSettlement(Settlement):
    """Settles the deliveries of one consuming channel, each exactly once.

    Their tags count from 1 without a gap. What is done without a gap from the beginning goes out as one
    acknowledgement of several; what is done beyond a delivery that is held back goes out alone.
    """

    def __init__(self, channel: Channel, *, hand: Hand, timeout_s: float) -> None:
        self._channel = channel
        self._hand = hand
        self._timeout_s = timeout_s
        self._settled_to = 0  # every tag up to this one is settled
        self._beyond: set[int] = set()  # the settled tags above it

    @override
    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        prefix, singles = self._note({delivery.tag for delivery in deliveries})
        acks = [*([Basic.Ack(prefix, multiple=True)] if prefix else []), *map(Basic.Ack, singles)]
        async with deadline("acknowledging", self._timeout_s):
            await write_all(self._channel, acks)
        self._hand.settle(delivery.tag for delivery in deliveries)

    @override
    async def give_to_broker(self, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            log.warning("dead_letter.given_to_broker", extra={"reason": letter.reason, "detail": letter.detail})
            self._note({letter.delivery.tag})
            async with deadline("rejecting", self._timeout_s):
                await self._channel.basic_reject(letter.delivery.tag, requeue=False)
            self._hand.settle([letter.delivery.tag])

    def _note(self, tags: set[int]) -> tuple[int, list[int]]:
        """Note fresh tags as settled. Return the highest of them below which nothing is open (0: there is none),
        which settles them all at once, and those that have to be settled one by one.
        """
        self._beyond |= tags
        while self._settled_to + 1 in self._beyond:
            self._settled_to += 1
            self._beyond.remove(self._settled_to)
        prefix = max((tag for tag in tags if tag <= self._settled_to), default=0)
        return prefix, sorted(tag for tag in tags if tag > self._settled_to)
