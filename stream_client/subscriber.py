"""A subscription to events that outlives its connections."""

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from aiormq.abc import DeliveredMessage

from schemas import AnyEvent, Event, EventName, LaterEvent, UnreadableEvent, read_event
from stream_client.address import checked_address
from stream_client.bindings import Filter
from stream_client.feed import Feed
from stream_client.sequencer import Gap, Sequencer
from stream_client.sources import History, ReplayFrom, source_of
from stream_client.supply import Supply

log: Final = logging.getLogger(__name__)

OnGap = Callable[[Gap], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Received:
    """An event, and the delivery that brought it. `offset` is its place in the history, if it came from there."""

    event: AnyEvent
    delivery: DeliveredMessage
    offset: int | None


class EventSubscriber:
    """Events, one after the other, each device's in the order in which they happened: enter it, then iterate.
    For one task.

    Where from:

    - by default a queue of its own for as long as it is entered. What happens while the connection is lost is
      missed, which is a gap.
    - `queue`: a durable queue of that name keeps what you have not seen, also while you are away. Its bindings
      stay, so give each kind of subscription a name of its own. Several subscribers to one queue share its events.
    - `replay_from`: the history, which the worker keeps with `STREAMS_EVENT_LOG=on`, from its beginning
      ("first"), a time, or where an earlier subscription was (its `next_offset`); then on with what happens. Who
      has read what is kept by nobody but you. A place beyond its end, for it was begun anew, is its beginning.

    `devices` and `types` choose; none means all.

    An event is acknowledged when the next is asked for: if you end in between, a durable queue gives it again, to
    this subscriber too. What was acknowledged and comes again all the same is dropped here, by its id; `Sequencer`
    says how far back. A process that starts anew remembers nothing: let what you do with an event bear repetition.

    `on_gap` is called, and awaited, before an event that comes after others of its device that were missed. Should
    those come late after all, they are given then: a queue may mix up what it gives again after two lost
    connections in a row. What was before the first event of a device that this subscriber sees is no gap. If it
    raises, so does the iteration, and the event comes next if you go on. None means that you do not want to know;
    with `types`, or on a queue that is shared, gaps are normal, and it has to be that.

    When the connection is lost, or the broker ends the subscription (its queue was deleted, or moved), all is
    built again, with growing pauses, for ever, and logged as `subscription.lost`. What a deleted queue had is
    missed, which is a gap. Not noticed is a broker that answers and has forgotten the subscription without a word,
    or somebody who takes a binding away: watch from outside how many events wait in a queue, and who consumes it.

    An event of a type that came later than this package is acknowledged and passed over, which is no gap. Whatever
    cannot be read as an event is logged as `event.unreadable` and rejected, once: to the queue's dead-letter
    exchange if it has one, else it is gone; in the history it is passed over. If it was an event, its device has a
    gap then. Properties that cannot be decoded count as none, which an event can do without.

    Raises ValueError for what does not fit together, a wrong device id, an unknown type, or a wrong address.
    """

    def __init__(
        self,
        url: str,
        *,
        on_gap: OnGap | None,
        queue: str | None = None,
        devices: Collection[str] = (),
        types: Collection[EventName | str] = (),
        replay_from: ReplayFrom | None = None,
        namespace: str = "streams",
    ) -> None:
        checked_address(url)
        self._filter = Filter(devices=devices, types=types)
        if self._filter.is_partial and on_gap is not None:
            raise ValueError("with some types only, gaps in a device's sequence are normal: say on_gap=None")
        self._on_gap = on_gap
        self._since = replay_from if isinstance(replay_from, datetime) else None
        self._source = source_of(namespace, self._filter.keys, queue=queue, replay_from=replay_from)
        self._sequencer = Sequencer()
        self._supply = Supply(url, self._source)
        self._next: _Received | None = None
        self._in_hand: _Received | None = None

    @property
    def next_offset(self) -> int | None:
        """Where to go on in the history once the event in hand is done with: what a later subscription takes as
        `replay_from`. Keep it with what you make of the event. None before the first event, and without a history.
        """
        offset = None if self._in_hand is None else self._in_hand.offset
        return None if offset is None else offset + 1

    async def __aenter__(self) -> Self:
        """Connect and bind: what happens from now on is seen.

        Raises StreamUnavailable where the broker cannot be reached, StreamMisconfigured where it refuses.
        """
        await self._supply.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._next = self._in_hand = None
        await self._supply.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event, however long it takes. It never ends by itself."""
        done, self._in_hand = self._in_hand, None
        if done is not None and self._supply.feed is not None:
            self._sequencer.note(done.event)
            await self._settle(self._supply.feed, done)
        while (feed := self._supply.feed) is not None:
            if self._is_spent(feed):
                self._next = None
                await self._supply.renew()
                continue
            if self._next is None:
                self._next = await self._receive(feed)
            if self._next is None:
                continue
            event = self._next.event
            if self._is_wanted(event):
                await self._tell_gap(event)
                if not isinstance(event, LaterEvent):
                    self._in_hand, self._next = self._next, None
                    return event
                self._sequencer.note(event)  # or the device's next one would come after a gap
            passed_over, self._next = self._next, None
            await self._settle(feed, passed_over)
        raise StopAsyncIteration

    def _is_wanted(self, event: AnyEvent) -> bool:
        """Whether it is new, and one that was asked for: the history has all."""
        too_early = self._since is not None and event.time < self._since
        return self._filter.takes(event) and not too_early and not self._sequencer.is_repeat(event)

    async def _tell_gap(self, event: AnyEvent) -> None:
        gap = None if self._on_gap is None else self._sequencer.gap_before(event)
        if gap is not None and self._on_gap is not None:
            telling = self._on_gap(gap)
            if telling is not None:
                await telling

    async def _receive(self, feed: Feed) -> _Received | None:
        """Return what comes next, or None where the link was lost, or what came cannot be read."""
        delivery = await feed.inbox.get()
        if delivery is None:
            return None
        offset = (delivery.header.properties.headers or {}).get("x-stream-offset")
        place = offset if isinstance(offset, int) else None
        try:
            return _Received(event=self._read(delivery, place), delivery=delivery, offset=place)
        except UnreadableEvent as error:
            found = {"event_id": delivery.header.properties.message_id, "routing_key": delivery.routing_key}
            log.error("event.unreadable", extra={**found, "reason": str(error)})  # noqa: TRY400 - no trace is needed
        if isinstance(self._source, History):
            await self._leave_behind(feed, delivery, place)  # to reject it would end the connection
        else:
            await feed.reject(delivery)  # lest it comes again and again
        return None

    def _read(self, delivery: DeliveredMessage, place: int | None) -> AnyEvent:
        """Read an event. Raises UnreadableEvent, for one too that would leave the reader without its place."""
        if place is None and isinstance(self._source, History):
            raise UnreadableEvent("its place in the history cannot be read")
        return read_event(delivery.body)

    async def _settle(self, feed: Feed, received: _Received) -> None:
        """Be done with it for good."""
        await self._leave_behind(feed, received.delivery, received.offset)

    async def _leave_behind(self, feed: Feed, delivery: DeliveredMessage, place: int | None) -> None:
        if isinstance(self._source, History) and place is not None:
            self._source.at = place + 1
        await feed.acknowledge(delivery)

    def _is_spent(self, feed: Feed) -> bool:
        """Whether it has nothing more to give. What a queue that gives again has sent is forgotten; a temporary
        one is gone, so what it has sent is taken to the last.
        """
        is_empty = feed.inbox.empty() and self._next is None
        return feed.link.lost.done() and (self._source.gives_again or is_empty)
