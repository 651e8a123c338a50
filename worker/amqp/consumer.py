"""The way in: deliveries of one channel, gathered without waiting."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NoReturn

from aiormq.channel import Channel
from typing_extensions import override

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.hand import Hand
from worker.amqp.line import Line
from worker.amqp.source import NARROW, Source
from worker.service.messages import Incoming
from worker.service.ports import EpochOver, Inbox, InboxClosed


class Consumer(Inbox):
    """Takes deliveries from the command queue, and from its partitions where it has some. One task takes, and any
    may close.

    The command queue is consumed narrow at first, and not during a pause. A partition is neither narrow nor
    cancelled: what is in hand would be overtaken by what another worker gets then. It bounds itself, because
    nothing is acknowledged in a pause and no more than the prefetch comes then.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        sources: Sequence[Source],
        hand: Hand,
        decode: Callable[[AmqpDelivery], Incoming],
    ) -> None:
        self._channel = channel
        self.sources = sources
        self._queue, *self._partitions = sources
        self._hand = hand
        self._decode = decode
        self._line = Line(hand, puts_aside=bool(self._partitions))
        self._end: EpochOver | InboxClosed | None = None
        self._started = False
        self._wide = False
        self._paused = False
        self._closing = False
        self._changing = asyncio.Lock()  # a consumer that begins while we close would go on for ever
        self._failed = asyncio.Event()
        self._over = EpochOver("the epoch is not over")

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has a consumer of ours on each queue, as far as we know."""
        return not self._failed.is_set() and all(source.tag is not None for source in self.sources)

    @property
    def should_consume(self) -> bool:
        """Whether there should be consumers: it was started, and is not paused, closed, lost or about to be."""
        stopped = self._paused or self._closing or self._failed.is_set()
        return self._started and not stopped and not self._changing.locked()

    @property
    def is_careful(self) -> bool:
        """Whether something in hand may end the process, and goes alone for that."""
        return self._line.is_careful

    @override
    async def start(self) -> None:
        async with self._changing:
            if self._closing:
                return
            self._channel.on_consumer_cancel_callbacks.add(self._cancelled_by_broker)
            self._started = True
            await self._queue.consume(self._arrive, prefetch=NARROW)
            for partition in self._partitions:
                await partition.consume(self._arrive, prefetch=partition.prefetch)

    def _arrive(self, source: Source, delivery: AmqpDelivery) -> None:
        if self._end is not None:
            return  # nobody will take it, and it goes back when the connection is closed
        self._line.add(delivery)
        self._hand.arrive(delivery.tag, source.pile)

    @override
    async def widen(self) -> bool:
        async with self._changing:
            if self.is_careful:  # one at a time, as if narrow: who waits for one keeps all others waiting
                return False
            # Each consumer of ours may have as much in hand as its prefetch says: what an earlier one got must be
            # settled first, or a database that comes and goes would fill the hand without end.
            if self._wide or self._paused or self._closing or self._queue.pile.unsettled > NARROW:
                return self._wide and not self._paused
            self._wide = True
            await self._queue.cancel()
            await self._queue.consume(self._arrive, prefetch=self._queue.prefetch)
            return True

    async def pass_on(self, partition: Source) -> bool:
        """Let another worker have a partition, and wait in line for it again; return whether it could be done.

        Call it only while the partition's consumer has all it may have in hand, and all of that is saved: then
        nothing is on its way to us, and who gets the next message comes after all that we got. Raises EpochOver.
        """
        async with self._changing:
            if self._paused or self._closing or self._failed.is_set():
                return False
            await partition.cancel()
            await partition.consume(self._arrive, prefetch=partition.prefetch)
            return True

    @override
    async def pause(self) -> bool:
        async with self._changing:
            if self._failed.is_set():
                raise self._over
            if self._closing and not self._started:
                raise InboxClosed("the inbox was closed before it was started")
            if self._started and not self._closing:
                self._paused = True
                await self._queue.cancel()
            return self._started

    @override
    async def resume(self) -> None:
        async with self._changing:
            if self._closing or not self._paused:
                return
            self._wide = False  # what stopped us may be a message that we are about to get again
            await self._queue.consume(self._arrive, prefetch=NARROW)
            self._paused = False

    @override
    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        try:
            async with asyncio.timeout(within_s):
                return [self._decode(delivery) for delivery in await self._next(limit)]
        except TimeoutError:
            return []

    async def _next(self, limit: int) -> Sequence[AmqpDelivery]:
        while not (batch := self._line.next(limit)):
            if self._end is not None and not self._line:
                raise self._end
            self._hand.moved.clear()
            await self._hand.moved.wait()
        return batch

    @override
    async def close(self) -> None:
        async with self._changing:
            if self._closing:
                return
            self._closing = True
            try:
                await self._queue.cancel()
            except EpochOver as over:
                self.fail(over)
            else:
                self._finish(InboxClosed("the inbox was closed"))

    @override
    async def watch(self) -> NoReturn:
        await self._failed.wait()
        raise self._over

    def fail(self, over: EpochOver) -> None:
        """Let whoever takes or watches know that the epoch is over; the first reason is the one that counts."""
        for source in self.sources:
            source.forget()
        if not self._failed.is_set():
            self._over = over
            self._failed.set()
            self._finish(over)

    def _finish(self, end: EpochOver | InboxClosed) -> None:
        self._end = self._end or end
        self._hand.moved.set()

    def _cancelled_by_broker(self, frame: object) -> None:
        tag = getattr(frame, "consumer_tag", None)
        queue = next((source.queue for source in self.sources if source.is_consumed_by(tag)), "a queue of ours")
        self.fail(EpochOver(f"the broker cancelled the consumer of {queue}; was the queue deleted?"))
