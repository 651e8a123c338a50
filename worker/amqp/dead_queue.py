"""The dead letters, one after another. Looking never costs one: what is not removed returns when we leave."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity
from pamqp.commands import Queue

from worker.amqp.deadline import deadline, reason
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.letter import Letter, read_letter
from worker.amqp.link import Link
from worker.amqp.options import BrokerOptions
from worker.amqp.topology import Topology, TopologyWrong
from worker.service.ports import EpochOver

PREFETCH: Final = 1_024  # bounds the bodies in memory
CONSUMERS_MAX: Final = 32  # RabbitMQ gives back what so many have held in the order of their tags, and of no more
HELD_MAX: Final = PREFETCH * CONSUMERS_MAX
"""So many letters are looked at, and not removed, at most."""

_QUIET_S: Final = 0.25
_QUIET_ROUNDS: Final = 3  # so often nothing arrived, and nothing was ready: somebody else has the rest


class DeadQueue:
    """The letters that were ready when we came, oldest first, as `open_dead_queue` gives it. For one task.

    Consumed, not got: what was got comes back to a quorum queue in any order (RabbitMQ 3.10), and the numbers of
    letters would mean nothing. `ready`: how many there were. `others`: how many consumers there were before us.
    """

    def __init__(self, channel: Channel, *, names: Topology, timeout_s: float) -> None:
        self._channel = channel
        self._names = names
        self._timeout_s = timeout_s
        self._arrived: asyncio.Queue[AmqpDelivery | EpochOver] = asyncio.Queue()
        self._consumers = 0
        self._taken = 0
        self._latest = 0  # the highest tag that was taken up
        self._border = 0  # tags above this one are the present consumer's …
        self._in_hand = 0  # … and so many of those are neither removed nor given back
        self.ready = 0
        self.others = 0

    async def begin(self) -> None:
        """Count what is there. Raises EpochOver; TopologyWrong where there is no such queue."""
        counted = await self._count()
        self.ready, self.others = counted.message_count or 0, counted.consumer_count or 0
        self._channel.on_consumer_cancel_callbacks.add(self._cancelled_by_broker)

    async def letters(self) -> AsyncGenerator[Letter, None]:
        """Yield each letter that was ready at the beginning, as far as nobody else has it and HELD_MAX allows.

        Called again it goes on. Who wants the letters to keep their order goes on to the end: a quorum queue puts
        what comes back behind what had come back before, not where it was taken from.

        Raises EpochOver; TopologyWrong where we may not read.
        """
        while (delivery := await self._next()) is not None:
            yield read_letter(delivery, number=self._taken, names=self._names)

    async def remove(self, letters: Sequence[Letter]) -> None:
        """Take letters off the queue for good; the broker has heard of it when this returns. Raises EpochOver."""
        if not letters:
            return
        async with deadline("removing dead letters", self._timeout_s):
            for letter in letters:
                await self._channel.basic_ack(letter.delivery.tag, wait=False)
            # Acknowledgements have no answer. What is answered here was said after them.
            await self._channel.basic_qos(prefetch_count=PREFETCH)
        self._in_hand -= sum(letter.delivery.tag > self._border for letter in letters)

    def fail(self, over: EpochOver) -> None:
        """Let whoever waits for a letter know that none will come."""
        self._arrived.put_nowait(over)

    async def _next(self) -> AmqpDelivery | None:
        if self._taken == self.ready:
            return None
        if self._arrived.empty() and (not self._consumers or self._in_hand == PREFETCH):
            if self._consumers == CONSUMERS_MAX:
                return None
            await self._consume_on()
        arrived = await self._arrival()
        if isinstance(arrived, EpochOver):
            raise arrived
        if arrived is not None:
            self._taken += 1
            self._in_hand += 1
            self._latest = arrived.tag
        return arrived

    async def _consume_on(self) -> None:
        """Begin to consume; or go on, with a new consumer, where the last one holds as many as it may."""
        try:
            async with deadline("consuming dead letters", self._timeout_s):
                if self._consumers:
                    await self._channel.basic_cancel(_tag(self._consumers))
                self._consumers += 1
                self._border, self._in_hand = self._latest, 0
                await self._channel.basic_qos(prefetch_count=PREFETCH)
                await self._channel.basic_consume(self._names.dead, self._take, consumer_tag=_tag(self._consumers))
        except EpochOver as over:
            raise self._readable(over) from over

    async def _take(self, message: DeliveredMessage) -> None:
        self._arrived.put_nowait(AmqpDelivery.of(message))

    async def _arrival(self) -> AmqpDelivery | EpochOver | None:
        for _ in range(_QUIET_ROUNDS):
            try:
                async with asyncio.timeout(_QUIET_S):
                    return await self._arrived.get()
            except TimeoutError:
                if (await self._count()).message_count:
                    return await self._late_arrival()
        return None

    async def _late_arrival(self) -> AmqpDelivery | EpochOver:
        async with deadline("waiting for a dead letter that is ready", self._timeout_s):
            return await self._arrived.get()

    async def _count(self) -> Queue.DeclareOk:
        try:
            async with deadline("counting the dead letters", self._timeout_s):
                return await self._channel.queue_declare(self._names.dead, passive=True)
        except EpochOver as over:
            raise self._readable(over) from over

    def _readable(self, over: EpochOver) -> EpochOver:
        """Tell what somebody has to set right from a broker that is away."""
        match over.__cause__:
            case ChannelNotFoundEntity():
                return TopologyWrong(
                    f"There is no queue {self._names.dead}. Is STREAMS_NAMESPACE right? "
                    "`stream-worker topology apply` makes what is missing."
                )
            case ChannelAccessRefused() as refused:
                return TopologyWrong(f"The broker does not let us read {self._names.dead}: {reason(refused)}.")
            case _:
                return over

    def _cancelled_by_broker(self, _frame: object) -> None:
        self.fail(EpochOver(f"the broker cancelled the consumer of {self._names.dead}; was the queue deleted?"))


@asynccontextmanager
async def open_dead_queue(options: BrokerOptions, names: Topology) -> AsyncIterator[DeadQueue]:
    """Connect and count the letters. Leaving gives back what was not removed.

    Raises EpochOver; TopologyWrong where the queue is missing or may not be read.
    """
    link = await Link.open(options, purpose="dead letters", confirms=False)
    try:
        queue = DeadQueue(link.channel, names=names, timeout_s=options.connect_timeout_s)
        link.when_lost(queue.fail)
        await queue.begin()
        yield queue
    finally:
        await link.close()


def _tag(consumer: int) -> str:
    return f"dead-{consumer:02}"
