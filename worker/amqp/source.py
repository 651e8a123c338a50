"""One queue that is consumed."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from aiormq.channel import Channel

from worker.amqp.deadline import deadline
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.hand import Pile
from worker.amqp.shortcut import Straight

log = logging.getLogger(__name__)

NARROW: Final = 1  # a message that kills the worker then costs no other message a delivery count


class Source:
    """A queue, and our consumer on it, if there is one.

    A partition has one active consumer among all workers', ours or another's, and hands the next message to the
    next of them as soon as the active one is cancelled, whatever that one has in hand. So it is consumed with the
    same prefetch from the first to the last, and is let go by closing the connection, which puts back what was in
    hand, in order, before anybody else gets anything; or by `pass_on`.
    """

    def __init__(
        self, channel: Channel, queue: str, *, prefetch: int, is_partition: bool, timeout_s: float
    ) -> None:
        self.queue = queue
        self.is_partition = is_partition
        self.prefetch = prefetch
        self.pile = Pile()
        self._channel = channel
        self._timeout_s = timeout_s
        self._tag: str | None = None
        self._arrived_before = 0

    @property
    def tag(self) -> str | None:
        """Which of our consumers it is; each one that begins is another."""
        return self._tag if self._tag in self._channel.consumers else None

    @property
    def is_ours(self) -> bool:
        """Whether what is ready there comes to us, as far as we know: of a partition, where our consumer has got
        something, for then it is the active one for as long as it lives.
        """
        return not self.is_partition or (self.tag is not None and self.pile.arrived > self._arrived_before)

    async def consume(self, arrive: Callable[["Source", AmqpDelivery], None], *, prefetch: int) -> None:
        """Begin to consume. Raises EpochOver."""
        async with deadline(f"consuming from {self.queue}", self._timeout_s):
            await self._channel.basic_qos(prefetch_count=prefetch)
            self._arrived_before = self.pile.arrived
            # The callback only enqueues: it runs while the socket is read.
            straight = Straight(take=partial(arrive, self))
            ok = await self._channel.basic_consume(self.queue, straight)  # type: ignore[arg-type]
        self._tag = ok.consumer_tag
        log.info("consumer.started", extra={"queue": self.queue, "prefetch": prefetch})

    async def cancel(self) -> None:
        """Consume no more; what is in hand stays in hand. Raises EpochOver."""
        tag, self._tag = self._tag, None
        if tag is not None:
            async with deadline("cancelling the consumer", self._timeout_s):
                await self._channel.basic_cancel(tag)

    def is_consumed_by(self, tag: object) -> bool:
        """Whether that is our consumer here, or the one that the broker has just taken away."""
        return tag is not None and tag == self._tag

    def forget(self) -> None:
        """The channel is gone, and the consumer with it."""
        self._tag = None
