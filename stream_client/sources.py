"""Where a subscription's events come from: a queue of its own for a time, one that lasts, or the history."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity
from aiormq.abc import DeliveredMessage, FieldTable

from stream_client.broker_call import LinkLost
from stream_client.errors import StreamMisconfigured
from stream_client.line import ADVICE
from stream_client.link import Link

log: Final = logging.getLogger(__name__)

ReplayFrom = Literal["first"] | datetime | int
"""The beginning of what is kept, a time, or the `next_offset` that an earlier subscription had."""

_DURABLE: Final[FieldTable] = {
    "x-queue-type": "quorum",
    # From RabbitMQ 4 on the default is 20, and a connection that is lost counts: a subscriber on a bad line would
    # lose events. An unreadable event is rejected once, so none goes round for ever.
    "x-delivery-limit": 1_000_000_000,
}
_TEMPORARY: Final[FieldTable] = {"x-max-length": 100_000}  # a subscriber that hangs must not fill the broker

_READY_S: Final = 10.0
_BINDING_S: Final = 0.1
"""A binding is a round trip and a transaction of the broker's; 1,000 of them took 9 s on a busy machine."""

_REACH_S: Final = 3.0
"""What is in a history comes in milliseconds. If this is too short, events come again that were known."""

_CLOCKS_APART: Final = timedelta(minutes=1)
"""The history is searched by the broker's clock, and events have the time of the workers'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A queue that can be consumed, and the channel to do that on."""

    channel: AbstractChannel
    queue: str
    arguments: FieldTable


class Source(Protocol):
    """Something that can be made ready on every new link. `gives_again`: what it has sent and not seen
    acknowledged comes once more over the next link.
    """

    @property
    def name(self) -> str | None:
        """The queue's, where it has one that means something."""
        ...

    @property
    def gives_again(self) -> bool:
        """Whether it does."""
        ...

    @property
    def ready_s(self) -> float:
        """How long making it ready may take."""
        ...

    async def ready(self, link: Link) -> Ready:
        """Make what is missing. Raises StreamMisconfigured; call it in a `broker_call`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryQueue:
    """A queue that lives as long as its connection."""

    exchange: str
    keys: Sequence[str]
    name: None = None
    gives_again: bool = False

    @property
    def ready_s(self) -> float:
        """More for many bindings."""
        return _READY_S + len(self.keys) * _BINDING_S

    async def ready(self, link: Link) -> Ready:
        """Declare and bind it."""
        channel = await link.channel()
        queue = await channel.declare_queue(exclusive=True, auto_delete=True, arguments=dict(_TEMPORARY))
        return await _bound(channel, queue, self.exchange, self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableQueue:
    """A queue with a name, which stays. One that is there already is taken as it is: its owner may have given it
    other arguments.
    """

    exchange: str
    keys: Sequence[str]
    name: str
    gives_again: bool = True

    @property
    def ready_s(self) -> float:
        """More for many bindings."""
        return _READY_S + len(self.keys) * _BINDING_S

    async def ready(self, link: Link) -> Ready:
        """Declare it if there is none, and bind it."""
        try:
            channel = await link.channel()
            queue = await channel.declare_queue(self.name, passive=True)
        except ChannelClosed:  # there is none, and the channel that asked is gone with the question
            channel = await link.channel()
            queue = await channel.declare_queue(self.name, durable=True, arguments=dict(_DURABLE))
        return await _bound(channel, queue, self.exchange, self.keys)


@dataclass(slots=True, kw_only=True)
class History:
    """The stream queue that keeps all events for a time; whoever reads it takes nothing away. `at` is where to
    read on, which the reader has to say: the broker does not know who has read what.
    """

    name: str
    at: ReplayFrom
    gives_again: bool = True
    ready_s: float = _READY_S

    async def ready(self, link: Link) -> Ready:
        """Look whether it is there, and is the one that was read; only the worker makes it."""
        channel = await link.channel()
        try:
            await channel.declare_queue(self.name, passive=True)
        except ChannelNotFoundEntity as error:
            raise StreamMisconfigured(
                f"there is no queue {self.name}; the worker keeps a history with STREAMS_EVENT_LOG=on"
            ) from error
        if isinstance(self.at, int) and self.at > 0 and not await self._reaches(link, self.at - 1):
            log.warning("history.anew", extra={"queue": self.name, "offset": self.at})
            self.at = "first"
        at = self.at - _CLOCKS_APART if isinstance(self.at, datetime) else self.at
        return Ready(channel=channel, queue=self.name, arguments={"x-stream-offset": at})

    async def _reaches(self, link: Link, offset: int) -> bool:
        """Whether it holds this offset, or later ones. One that was deleted and made again may not have come so
        far, and until it has, whoever asks for more hears nothing at all (RabbitMQ 3.10).
        """
        channel = await link.channel()
        looking = await channel.get_underlay_channel()
        found: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def see(_: DeliveredMessage) -> None:
            if not found.done():
                found.set_result(None)

        await looking.basic_qos(prefetch_count=1)
        await looking.basic_consume(self.name, see, arguments={"x-stream-offset": offset})
        await asyncio.wait({found, link.lost}, timeout=_REACH_S, return_when=asyncio.FIRST_COMPLETED)
        await channel.close()  # answered: the silence before was not the connection's
        if link.lost.done():
            raise LinkLost("while the history was looked at")
        return found.done()


async def _bound(channel: AbstractChannel, queue: AbstractQueue, exchange: str, keys: Sequence[str]) -> Ready:
    try:
        for key in keys:
            await queue.bind(exchange, key)
    except ChannelNotFoundEntity as error:
        raise StreamMisconfigured(f"there is no exchange {exchange}; {ADVICE}") from error
    return Ready(channel=channel, queue=queue.name, arguments={})


def source_of(namespace: str, keys: Sequence[str], *, queue: str | None, replay_from: ReplayFrom | None) -> Source:
    """Return what was asked for. Raises ValueError where that does not fit together."""
    exchange = f"{namespace}.events"
    if replay_from is None:
        if queue is None:
            return TemporaryQueue(exchange=exchange, keys=keys)
        return DurableQueue(exchange=exchange, keys=keys, name=queue)
    if queue is not None:
        raise ValueError("a replay reads the history, not a queue of yours: give queue or replay_from")
    if isinstance(replay_from, str) and replay_from != "first":
        raise ValueError('replay_from is "first", a time, or an offset')
    if isinstance(replay_from, datetime) and replay_from.tzinfo is None:
        raise ValueError("the time of replay_from has no time zone")
    if isinstance(replay_from, int) and replay_from < 0:
        raise ValueError("replay_from counts from 0")
    return History(name=f"{exchange}.log", at=replay_from)
