"""A subscription to events that outlives its connections."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

from aiormq.abc import DeliveredMessage

from schemas import Event, UnreadableEvent, read_event
from stream_client.errors import StreamUnavailable
from stream_client.feed import Feed, Interest
from stream_client.pauses import growing_pauses

log: Final = logging.getLogger(__name__)


class EventSubscriber:
    """Events, one after the other, each at least once: enter it, then iterate. For one task.

    An event is acknowledged when the next is asked for: if you end in between, a durable queue gives it again.
    When the connection is lost, it is built again, with growing pauses, for ever. A durable queue then goes on
    where it was; with a temporary one, what happened in between is missed. `Sequencer` tells repeats and gaps.
    An event that cannot be read is logged and rejected: it goes to the queue's dead-letter exchange if it has one.
    """

    def __init__(
        self, url: str, *, exchange: str, binding_key: str, queue: str | None, connect_s: float = 10.0
    ) -> None:
        self._url = url
        self._interest = Interest(exchange=exchange, binding_key=binding_key, queue=queue)
        self._connect_s = connect_s
        self._feed: Feed | None = None
        self._in_hand: DeliveredMessage | None = None

    async def __aenter__(self) -> Self:
        """Connect and bind: what happens from now on is seen.

        Raises StreamUnavailable where the broker cannot be reached, StreamMisconfigured where it refuses.
        """
        self._feed = await Feed.open(self._url, self._interest, within_s=self._connect_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            await feed.link.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event, however long it takes. It never ends by itself."""
        done, self._in_hand = self._in_hand, None  # never acknowledge twice, also where this is cancelled
        if done is not None and self._feed is not None:
            await self._feed.acknowledge(done)
        while self._feed is not None:
            if self._is_spent(self._feed):
                self._feed = await self._resume(self._feed)
            delivery = await self._feed.inbox.get()
            event = None if delivery is None else await self._read(self._feed, delivery)
            if event is not None:
                self._in_hand = delivery
                return event
        raise StopAsyncIteration

    async def _read(self, feed: Feed, delivery: DeliveredMessage) -> Event | None:
        """Return the event, or None for one that cannot be read: it is rejected, lest it comes again and again."""
        try:
            return read_event(delivery.body)
        except UnreadableEvent as error:
            found = {"event_id": delivery.header.properties.message_id, "routing_key": delivery.routing_key}
            log.error("event.unreadable", extra={**found, "reason": str(error)})  # noqa: TRY400 - no trace is needed
            await feed.reject(delivery)
            return None

    def _is_spent(self, feed: Feed) -> bool:
        """Whether it has nothing more to give. What a durable queue has sent but not seen acknowledged, it gives
        again; a temporary one is gone, so what it has sent is taken to the last.
        """
        return feed.link.lost.done() and (self._interest.queue is not None or feed.inbox.empty())

    async def _resume(self, lost: Feed) -> Feed:
        """Build a new feed, for ever: what has worked once will work again, and nobody else would try."""
        log.warning("subscription.lost", extra={"queue": self._interest.queue})
        await lost.link.close()
        pauses = growing_pauses()
        while True:
            try:
                feed = await Feed.open(self._url, self._interest, within_s=self._connect_s)
            except StreamUnavailable as error:
                pause_s = next(pauses)
                log.warning("subscription.retry", extra={"reason": str(error), "pause_s": pause_s})
                await asyncio.sleep(pause_s)
            else:
                log.info("subscription.resumed", extra={"queue": self._interest.queue})
                return feed
