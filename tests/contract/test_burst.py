"""What a burst uses of aiormq, on aiormq's own channel: an upgrade that moves any of it shows here."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiormq.abc import ChannelFrame
from aiormq.base import Base
from aiormq.channel import Channel
from aiormq.exceptions import ChannelClosed, DeliveryError
from pamqp import commands, frame
from pamqp.commands import Basic
from pamqp.header import ContentHeader
from typing_extensions import override

from tests.support.fake_channel import published, wire
from tests.support.wire import ANSWER_WITHIN_S, eventually
from worker.amqp.burst import LARGE_BYTES, End, send_burst
from worker.amqp.messages import WireMessage

CONFIRMED, NACKED, RETURNED, UNKNOWN = End.CONFIRMED, End.NACKED, End.RETURNED, End.UNKNOWN
UNWRITABLE = End.UNWRITABLE
LONG_S = 120.0  # it would be noticed if somebody waited for it


class Line(Base):
    """What a channel wants of its connection. The writer takes nothing until it is told to."""

    publisher_confirms = True
    is_opened = True

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.connection_tune = commands.Connection.Tune(channel_max=10, frame_max=4096, heartbeat=0)
        self.write_queue: asyncio.Queue[ChannelFrame] = asyncio.Queue(maxsize=2)
        self.channels: dict[int, Any] = {}
        self.written: list[tuple[str, bytes]] = []
        self.tag = 0

    @override
    def __str__(self) -> str:
        return "a line"

    @override
    async def _on_close(self, exc: object = None) -> None:
        """There is no socket."""

    async def until_written(self, count: int) -> None:
        """Take so many messages from the queue."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            while len(self.written) < count:
                self.written += published((await self.write_queue.get()).payload)

    async def say(self, channel: Channel, *frames: Any) -> None:
        for said in frames:
            await channel.frames.put((0, said))


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Line, Channel]]:
    line = Line()
    channel = Channel(cast("Any", line), 7, publisher_confirms=True, on_return_raises=True)
    line.channels[7] = channel
    try:
        yield line, channel
    finally:
        line.is_opened = False
        await channel.close()
        await line.close()


def sending(channel: Channel, *messages: WireMessage, timeout_s: float = LONG_S) -> "asyncio.Task[list[End]]":
    return asyncio.create_task(send_burst(channel, messages, timeout_s=timeout_s))


def named(key: str, message_id: str | None) -> WireMessage:
    message = wire(key, mandatory=True)
    message.properties.message_id = message_id
    return message


def returned(message_id: str | None) -> tuple[Basic.Return, ContentHeader]:
    return Basic.Return(312, "NO_ROUTE"), ContentHeader(0, 0, Basic.Properties(message_id=message_id))


def futures_of(channel: Channel) -> int:
    return len(cast("Any", channel)._Base__future_store.futures)


async def test_acks_and_nacks_single_and_multiple_reach_their_messages() -> None:
    async with opened() as (line, channel):
        task = sending(channel, *[wire(key) for key in "abcdef"])
        await line.until_written(6)
        assert [key for key, _ in line.written] == list("abcdef")

        await line.say(
            channel, Basic.Ack(2), Basic.Ack(3, multiple=True), Basic.Nack(5, multiple=True), Basic.Ack(6)
        )

        assert await task == [CONFIRMED, CONFIRMED, CONFIRMED, NACKED, NACKED, CONFIRMED]
        assert not channel.confirmations


async def test_what_is_returned_is_known_by_its_message_id_and_its_ack_means_nothing() -> None:
    async with opened() as (line, channel):
        task = sending(channel, wire("a"), named("b", "B"), named("c", None))
        await line.until_written(3)
        (given,) = channel.message_id_delivery_tag.keys() - {"B"}

        await line.say(channel, Basic.Ack(1), *returned(given), Basic.Ack(3), *returned("B"), Basic.Ack(2))

        assert await task == [CONFIRMED, RETURNED, RETURNED]
        assert not channel.message_id_delivery_tag
        await eventually(lambda: asyncio.sleep(0, not channel.confirmations))


async def test_one_burst_follows_another_and_aiormqs_own_publishes_between_them() -> None:
    async with opened() as (line, channel):
        first = sending(channel, wire("a"), wire("b"))
        await line.until_written(2)
        own = asyncio.create_task(channel.basic_publish(b"", routing_key="own", wait=False))
        await line.until_written(3)
        second = sending(channel, wire("c"))
        await line.until_written(4)

        await line.say(channel, Basic.Nack(4), Basic.Ack(2, multiple=True), Basic.Ack(3))

        assert (await first, await second) == ([CONFIRMED] * 2, [NACKED])
        assert isinstance(await own, Basic.Ack)


async def test_a_burst_does_not_overtake_aiormqs_own_publish_that_has_its_tag_and_waits_for_room() -> None:
    async with opened() as (line, channel):
        before = [sending(channel, wire(key)) for key in "ab"]
        await eventually(lambda: asyncio.sleep(0, line.write_queue.full()))
        own = asyncio.create_task(channel.basic_publish(b"", routing_key="own", wait=False))
        await eventually(lambda: asyncio.sleep(0, channel.delivery_tag == 3))

        async def refuse_its_own() -> None:
            await line.until_written(4)
            tag = 1 + [key for key, _ in line.written].index("own")
            await line.say(channel, *[Basic.Nack(n) if n == tag else Basic.Ack(n) for n in range(1, 5)])

        line.written += published(line.write_queue.get_nowait().payload)
        broker = asyncio.create_task(refuse_its_own())

        assert await send_burst(channel, [wire("c")], timeout_s=LONG_S) == [CONFIRMED]
        with pytest.raises(DeliveryError):
            await own
        await asyncio.gather(broker, *before)


async def test_a_confirm_that_is_late_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as (line, channel):
        late = sending(channel, wire("a"), named("b", "B"), wire("c"), timeout_s=0.01)
        await line.until_written(3)
        assert await late == [UNKNOWN] * 3

        with caplog.at_level(logging.INFO, logger="aiormq"):
            next_one = sending(channel, wire("d"))
            await line.until_written(4)
            await line.say(channel, Basic.Ack(1), Basic.Nack(2), Basic.Ack(4, multiple=True))
            assert await next_one == [CONFIRMED]

        assert await late == [UNKNOWN] * 3
        assert not channel.confirmations
        assert not caplog.records


async def test_a_return_that_is_late_does_not_end_the_channel() -> None:
    async with opened() as (line, channel):
        late = sending(channel, named("b", "B"), timeout_s=0.01)
        await line.until_written(1)
        assert await late == [UNKNOWN]
        channel.message_id_delivery_tag["B"] = 1  # as if it came in the moment in which the time was up

        await line.say(channel, *returned("B"), Basic.Ack(1))
        next_one = sending(channel, wire("a"))
        await line.until_written(2)
        await line.say(channel, Basic.Ack(2))

        assert await next_one == [CONFIRMED]
        assert await late == [UNKNOWN]


async def test_one_whose_time_is_up_does_not_take_the_return_of_the_next_with_its_id() -> None:
    async with opened() as (line, channel):
        late = sending(channel, named("b", "B"), timeout_s=0.05)
        next_one = sending(channel, named("b", "B"))
        await line.until_written(2)
        assert await late == [UNKNOWN]

        await line.say(channel, *returned("B"))

        assert await next_one == [RETURNED]


async def test_a_channel_that_the_broker_closes_leaves_the_rest_unknown() -> None:
    async with opened() as (line, channel):
        task = sending(channel, wire("a"), wire("b"))
        await line.until_written(2)

        await line.say(channel, Basic.Ack(1), commands.Channel.Close(404, "NOT_FOUND", 60, 40))

        assert await task == [CONFIRMED, UNKNOWN]
        assert await send_burst(channel, [wire("c")], timeout_s=LONG_S) == [UNKNOWN]
        assert channel.delivery_tag == 2
        await line.close()
        assert await send_burst(channel, [wire("c")], timeout_s=LONG_S) == [UNKNOWN]


@pytest.mark.parametrize("error", [asyncio.CancelledError, asyncio.CancelledError(), ChannelClosed(0, "x"), None])
async def test_however_aiormq_gives_a_connection_up_it_is_unknown(error: Any) -> None:
    async with opened() as (line, channel):
        task = sending(channel, wire("a"))
        await line.until_written(1)

        await line.close(error)

        assert await task == [UNKNOWN]
        assert await send_burst(channel, [wire("c")], timeout_s=LONG_S) == [UNKNOWN]
        await channel.close()
        assert await send_burst(channel, [wire("c")], timeout_s=LONG_S) == [UNKNOWN]


async def test_who_is_cancelled_while_they_wait_leaves_nothing_but_the_tags() -> None:
    async with opened() as (line, channel):
        before = futures_of(channel)
        task = sending(channel, named("a", "A"), wire("b"))
        await line.until_written(2)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await eventually(lambda: asyncio.sleep(0, futures_of(channel) == before))
        assert not channel.message_id_delivery_tag
        next_one = sending(channel, wire("c"))
        await line.until_written(3)
        await line.say(channel, Basic.Ack(3, multiple=True))
        assert await next_one == [CONFIRMED]
        assert not channel.confirmations


@pytest.mark.parametrize("by_us", [True, False])
async def test_where_there_is_no_room_to_write_nothing_is_written_and_no_tag_is_taken(*, by_us: bool) -> None:
    async with opened() as (line, channel):
        others = [sending(channel, wire(key)) for key in "ab"]
        await eventually(lambda: asyncio.sleep(0, line.write_queue.full()))
        before = futures_of(channel)

        task = sending(channel, wire("c"), timeout_s=30 if by_us else 0.01)
        if by_us:
            await eventually(lambda: asyncio.sleep(0, futures_of(channel) > before))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            assert await task == [UNKNOWN]

        await line.until_written(2)
        next_one = sending(channel, wire("d"))
        await line.until_written(3)
        await line.say(channel, Basic.Ack(3, multiple=True))
        assert [key for key, _ in line.written] == list("abd")
        assert await asyncio.gather(*others, next_one) == [[CONFIRMED]] * 3


async def test_where_there_is_nothing_to_send_nothing_is_waited_for() -> None:
    async with opened() as (_, channel):
        began_s = time.monotonic()
        assert await send_burst(channel, [], timeout_s=LONG_S) == []
        assert time.monotonic() - began_s < ANSWER_WITHIN_S


async def test_where_nothing_can_be_written_nothing_is() -> None:
    async with opened() as (line, channel):
        began_s = time.monotonic()
        unwritable = [wire("x" * 256), named("y" * 256, "Y")]
        assert await send_burst(channel, unwritable, timeout_s=LONG_S) == [UNWRITABLE] * 2
        assert time.monotonic() - began_s < ANSWER_WITHIN_S

        assert line.write_queue.empty()
        assert (channel.delivery_tag, channel.confirmations, channel.message_id_delivery_tag) == (0, {}, {})


async def test_large_messages_are_not_joined_to_one_write() -> None:
    async with opened() as (line, channel):
        large = [
            WireMessage(exchange="", routing_key=key, properties=Basic.Properties(), body=b"x" * LARGE_BYTES)
            for key in "abcd"
        ]
        task = sending(channel, *large, timeout_s=0.05)

        await eventually(lambda: asyncio.sleep(0, line.write_queue.full()))
        assert channel.delivery_tag == 2
        assert await task == [UNKNOWN] * 4

        await line.until_written(2)
        assert [(key, len(body)) for key, body in line.written] == [("a", LARGE_BYTES), ("b", LARGE_BYTES)]


async def test_a_body_is_cut_into_frames_as_aiormq_cuts_it() -> None:
    async with opened() as (line, channel):
        for size_bytes in (0, 1, channel.max_content_size, channel.max_content_size + 1, 10_000):
            body = bytes(range(251)) * 40
            message = WireMessage(
                exchange="x",
                routing_key="k",
                properties=Basic.Properties(message_id="m"),
                body=body[:size_bytes],
                mandatory=True,
            )
            await send_burst(channel, [message], timeout_s=0.001)
            ours = await line.write_queue.get()
            own = asyncio.create_task(
                channel.basic_publish(
                    message.body,
                    exchange="x",
                    routing_key="k",
                    properties=message.properties,
                    mandatory=True,
                    wait=False,
                )
            )
            theirs = await line.write_queue.get()
            own.cancel()
            assert ours == theirs
            assert max(frame.frame_parts(part)[2] or 0 for part in parts_of(ours.payload)) <= 4096 - 8


def parts_of(payload: bytes) -> list[bytes]:
    parts = []
    while payload:
        used, _, _ = frame.unmarshal(payload)
        parts.append(payload[:used])
        payload = payload[used:]
    return parts
