"""Many messages written to a channel at once, and waited for together.

The only place that knows how aiormq keeps its books of what is published: `delivery_tag`, `confirmations`,
`message_id_delivery_tag`, `write_queue`. Its own `basic_publish` takes a task, a future, a timer and a lock for
each message. tests/contract/test_burst.py pins what is used here.
"""

import asyncio
import contextlib
import enum
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast
from uuid import uuid4

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError, PublishError
from pamqp.commands import Basic

from worker.amqp.frames import UNWRITABLE, frames_of
from worker.amqp.messages import WireMessage

log = logging.getLogger(__name__)

LARGE_BYTES: Final = 64 * 1024  # with such a message a write ends: many would be in memory twice


class End(enum.Enum):
    """What became of a message."""

    CONFIRMED = enum.auto()
    NACKED = enum.auto()
    RETURNED = enum.auto()  # mandatory, and there was no queue for it
    UNWRITABLE = enum.auto()  # nothing of it was sent, nor ever will be
    UNKNOWN = enum.auto()


async def send_burst(channel: Channel, messages: Sequence[WireMessage], *, timeout_s: float) -> list[End]:
    """Write all in order, and wait until each has its end, the time is up or the channel is gone.

    Raises nothing for what the broker does. Tasks may do so side by side, but no two mandatory messages on their
    way over one channel may have one message id: aiormq takes the return of one for that of the other.
    """
    ends = [End.UNKNOWN] * len(messages)
    if messages and not channel.is_closed:
        all_ended = channel.create_future()  # which the channel rejects when it ends
        await _Burst(channel, ends, all_ended, without_end=len(ends)).send(messages, timeout_s)
    return ends


async def write_all(channel: Channel, frames: Sequence[Basic.Ack]) -> None:
    """Write frames that need no answer at once, and wait until the socket has them: closing the connection drops
    what is still in its queue. Raises ChannelInvalidStateError where the channel is closed.
    """
    if not frames:
        return
    if channel.is_closed:
        raise ChannelInvalidStateError(f"{channel} closed")
    written = channel.create_future()
    await channel.write_queue.put(ChannelFrame.marshall(channel.number, frames, drain_future=written))
    await written


@dataclass(slots=True, eq=False)
class _Burst:
    """`end` is called from aiormq's reader, when it likes; what comes once `is_over` is too late."""

    channel: Channel
    ends: list[End]
    all_ended: "asyncio.Future[None]"
    without_end: int
    is_over: bool = False
    returnable: dict[str, int] = field(default_factory=dict)

    async def send(self, messages: Sequence[WireMessage], timeout_s: float) -> None:
        try:
            with contextlib.suppress(TimeoutError, ChannelInvalidStateError):
                async with asyncio.timeout(timeout_s):
                    async with self.channel.lock:
                        await self._write(messages)
                    await asyncio.wait({self.all_ended})  # which does not raise what the channel ended by
        finally:
            self.is_over = True
            self.all_ended.cancel()
            tags = self.channel.message_id_delivery_tag
            for message_id in [id_ for id_, tag in self.returnable.items() if tags.get(id_) == tag]:
                del tags[message_id]

    async def _write(self, messages: Sequence[WireMessage]) -> None:
        written: list[tuple[int, WireMessage, bytes]] = []
        number, size = self.channel.number, self.channel.max_content_size
        for place, message in enumerate(messages):
            if message.mandatory and not message.properties.message_id:
                message.properties.message_id = uuid4().hex  # aiormq knows what was returned by nothing else
            try:
                written.append((place, message, frames_of(message, channel=number, body_bytes_max=size)))
            except UNWRITABLE as error:
                said = {"exchange": message.exchange, "reason": type(error).__name__}
                log.error("publish.unwritable", extra=said)  # noqa: TRY400 - nothing failed but this message
                self.end(place, End.UNWRITABLE)
            if written and len(written[-1][-1]) > LARGE_BYTES:
                await self._put(written)
                written = []
        if written:
            await self._put(written)

    async def _put(self, written: Sequence[tuple[int, WireMessage, bytes]]) -> None:
        channel, payload = self.channel, b"".join([frames for _, _, frames in written])
        await channel.write_queue.put(ChannelFrame(payload=payload, should_close=False))
        for place, message, _ in written:  # `put` gives control back at once: no confirm was here before
            channel.delivery_tag += 1
            channel.confirmations[channel.delivery_tag] = cast("asyncio.Future[object]", _Confirm(self, place))
            if message.mandatory and (message_id := message.properties.message_id):
                self.returnable[message_id] = channel.message_id_delivery_tag[message_id] = channel.delivery_tag

    def end(self, place: int, end: End) -> None:
        self.ends[place] = end
        self.without_end -= 1
        if not self.without_end and not self.all_ended.done():
            self.all_ended.set_result(None)


@dataclass(slots=True, eq=False)
class _Confirm:
    """What aiormq takes for a future, and asks no more of."""

    burst: _Burst
    place: int

    def done(self) -> bool:
        return self.burst.is_over

    cancelled = done  # so that aiormq makes nothing of one that is late

    def set_result(self, _: object) -> None:
        self.burst.end(self.place, End.CONFIRMED)

    def set_exception(self, error: BaseException) -> None:
        if not self.burst.is_over:  # aiormq does not ask before it tells of a return
            self.burst.end(self.place, End.RETURNED if isinstance(error, PublishError) else End.NACKED)
