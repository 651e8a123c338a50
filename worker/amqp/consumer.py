"""The way in: deliveries of one channel, gathered without waiting."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from aiormq.channel import Channel
from typing_extensions import override

from worker.amqp.deadline import deadline
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.hand import Hand
from worker.amqp.shortcut import Straight
from worker.service.messages import Incoming
from worker.service.ports import EpochOver, Inbox, InboxClosed

log = logging.getLogger(__name__)

NARROW: Final = 1  # a message that kills the worker then costs no other message a delivery count


class Consumer(Inbox):
    """Takes deliveries from one queue. Starts narrow; one task takes, and any may close."""

    def __init__(
        self,
        channel: Channel,
        *,
        queue: str,
        hand: Hand,
        decode: Callable[[AmqpDelivery], Incoming],
        prefetch: int,
        timeout_s: float,
    ) -> None:
        self._channel = channel
        self._queue = queue
        self._hand = hand
        self._decode = decode
        self._prefetch = prefetch
        self._timeout_s = timeout_s
        self._arrived: asyncio.Queue[AmqpDelivery | EpochOver | InboxClosed] = asyncio.Queue()
        self._tag: str | None = None
        self._started = False
        self._wide = False
        self._paused = False
        self._closing = False
        self._changing = asyncio.Lock()  # a consumer that begins while we close would go on for ever
        self._failed = asyncio.Event()
        self._over = EpochOver("the epoch is not over")

    @property
    def is_consuming(self) -> bool:
        """Whether the broker has a consumer of ours on the queue, as far as we know."""
        return self.tag is not None

    @property
    def tag(self) -> str | None:
        """Which of our consumers it is; each start, widening and resumption makes another."""
        return None if self._failed.is_set() or self._tag not in self._channel.consumers else self._tag

    @property
    def should_consume(self) -> bool:
        """Whether there should be a consumer: it was started, and is not paused, closed, lost or about to be."""
        stopped = self._paused or self._closing or self._failed.is_set()
        return self._started and not stopped and not self._changing.locked()

    @override
    async def start(self) -> None:
        async with self._changing:
            if self._closing:
                return
            self._channel.on_consumer_cancel_callbacks.add(self._cancelled_by_broker)
            self._started = True
            await self._consume(NARROW)

    async def _consume(self, prefetch: int) -> None:
        async with deadline(f"consuming from {self._queue}", self._timeout_s):
            await self._channel.basic_qos(prefetch_count=prefetch)
            # The callback only enqueues: it runs while the socket is read.
            ok = await self._channel.basic_consume(self._queue, Straight(take=self._arrive))  # type: ignore[arg-type]
        self._tag = ok.consumer_tag
        log.info("consumer.started", extra={"queue": self._queue, "prefetch": prefetch})

    def _arrive(self, delivery: AmqpDelivery) -> None:
        self._hand.arrived += 1
        self._arrived.put_nowait(delivery)

    @override
    async def widen(self) -> None:
        async with self._changing:
            # Each consumer of ours may have as much in hand as its prefetch says: what an earlier one got must be
            # settled first, or a database that comes and goes would fill the hand without end.
            if self._wide or self._paused or self._closing or self._hand.unsettled > NARROW:
                return
            self._wide = True
            await self._cancel()
            await self._consume(self._prefetch)

    @override
    async def pause(self) -> bool:
        async with self._changing:
            if self._failed.is_set():
                raise self._over
            if self._closing and not self._started:
                raise InboxClosed("the inbox was closed before it was started")
            if self._started and not self._closing:
                self._paused = True
                await self._cancel()
            return self._started

    @override
    async def resume(self) -> None:
        async with self._changing:
            if self._closing or not self._paused:
                return
            self._wide = False  # what stopped us may be a message that we are about to get again
            await self._consume(NARROW)
            self._paused = False

    async def _cancel(self) -> None:
        tag, self._tag = self._tag, None
        if tag is not None:
            async with deadline("cancelling the consumer", self._timeout_s):
                await self._channel.basic_cancel(tag)

    @override
    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        try:
            async with asyncio.timeout(within_s):
                first = await self._arrived.get()
        except TimeoutError:
            return []
        batch = [self._deliver(first)]
        while len(batch) < limit and not self._arrived.empty():
            item = self._arrived.get_nowait()
            if not isinstance(item, AmqpDelivery):
                self._arrived.put_nowait(item)  # an end: for the next call, after this batch
                break
            batch.append(self._deliver(item))
        return batch

    def _deliver(self, item: AmqpDelivery | EpochOver | InboxClosed) -> Incoming:
        if isinstance(item, AmqpDelivery):
            return self._decode(item)
        self._arrived.put_nowait(item)  # whoever asks again hears it again
        raise item

    @override
    async def close(self) -> None:
        async with self._changing:
            if self._closing:
                return
            self._closing = True
            try:
                await self._cancel()
            except EpochOver as over:
                self.fail(over)
            else:
                self._arrived.put_nowait(InboxClosed("the inbox was closed"))

    @override
    async def watch(self) -> NoReturn:
        await self._failed.wait()
        raise self._over

    def fail(self, over: EpochOver) -> None:
        """Let whoever takes or watches know that the epoch is over; the first reason is the one that counts."""
        self._tag = None
        if not self._failed.is_set():
            self._over = over
            self._failed.set()
            self._arrived.put_nowait(over)

    def _cancelled_by_broker(self, _frame: object) -> None:
        self.fail(EpochOver(f"the broker cancelled the consumer of {self._queue}; was the queue deleted?"))
