"""A burst on a real broker: what is refused, comes back or cannot be written harms none of its neighbours."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import pytest
import uvloop
from aiormq.channel import Channel
from pamqp.commands import Basic

from devtools.broker import PrivateBroker
from tests.support.broker_side import options
from tests.support.proxy import Proxy
from tests.support.wire import eventually
from worker.amqp.burst import End, send_burst
from worker.amqp.link import Link
from worker.amqp.messages import WireMessage

CONFIRMED, NACKED, RETURNED, UNKNOWN = End.CONFIRMED, End.NACKED, End.RETURNED, End.UNKNOWN
UNWRITABLE = End.UNWRITABLE
FRAME_BYTES_MAX: Final = 8_192
LARGE: Final = bytes(range(256)) * 512  # as large as our broker lets one be


@dataclass(slots=True, kw_only=True)
class Way:
    """A channel to send on, and another beside it, on which its queues are made and looked at."""

    channel: Channel
    beside: Channel

    async def queue(self, **arguments: object) -> str:
        declared = await self.beside.queue_declare("", exclusive=True, arguments=arguments)  # type: ignore[arg-type]
        return declared.queue or ""

    async def full_queue(self) -> str:
        """Make a queue that takes one message and refuses every other."""
        return await self.queue(**{"x-max-length": 1, "x-overflow": "reject-publish"})

    async def bodies(self, queue: str, count: int) -> list[bytes]:
        """Take so many messages from a queue, and see that there are no more."""

        async def are_there() -> bool:
            return (await self.beside.queue_declare(queue, passive=True)).message_count == count

        assert await eventually(are_there)
        return [(await self.beside.basic_get(queue, no_ack=True)).body for _ in range(count)]


@asynccontextmanager
async def way_to(url: str, *, look_at: str | None = None) -> AsyncIterator[Way]:
    sending = await Link.open(options(url), purpose="burst", confirms=True)
    looking = await Link.open(options(look_at or url), purpose="looking", confirms=False)
    try:
        yield Way(channel=sending.channel, beside=looking.channel)
    finally:
        await asyncio.gather(sending.close(), looking.close())


@pytest.fixture
async def way(broker: PrivateBroker) -> AsyncIterator[Way]:
    async with way_to(broker.url) as way:
        yield way


def to(queue: str, body: bytes = b"", *, mandatory: bool = False) -> WireMessage:
    properties = Basic.Properties(delivery_mode=2)
    return WireMessage(exchange="", routing_key=queue, properties=properties, body=body, mandatory=mandatory)


def numbered(queue: str, numbers: range) -> list[WireMessage]:
    return [to(queue, b"%d" % number) for number in numbers]


async def send(way: Way, *messages: WireMessage, timeout_s: float = 20.0) -> list[End]:
    return await send_burst(way.channel, messages, timeout_s=timeout_s)


async def test_what_a_full_queue_refuses_is_told_from_what_others_take(way: Way) -> None:
    full, queue = await way.full_queue(), await way.queue()

    ends = await send(way, *[to(target, b"x") for _ in range(50) for target in (full, queue)])

    assert ends == [CONFIRMED, CONFIRMED] + [NACKED, CONFIRMED] * 49


async def test_what_is_mandatory_and_has_no_queue_comes_back(way: Way) -> None:
    queue = await way.queue()
    nobody = [to("nobody", LARGE, mandatory=True), to("nobody", b"x", mandatory=True), to("nobody", b"x")]

    ends = await send(way, to(queue, b"1", mandatory=True), *nobody, to(queue, b"2"))

    assert ends == [CONFIRMED, RETURNED, RETURNED, CONFIRMED, CONFIRMED]
    assert await way.bodies(queue, 2) == [b"1", b"2"]


async def test_bodies_of_many_frames_arrive_whole_and_in_order() -> None:
    edge = FRAME_BYTES_MAX - 8
    sizes_bytes = (0, 1, edge - 1, edge, edge + 1, len(LARGE), 3)
    with PrivateBroker(settings={"frame_max": str(FRAME_BYTES_MAX)}) as node:
        async with way_to(node.url) as way:
            queue = await way.queue()

            ends = await send(way, *[to(queue, LARGE[:size]) for size in sizes_bytes])

            assert ends == [CONFIRMED] * len(sizes_bytes)
            assert await way.bodies(queue, len(sizes_bytes)) == [LARGE[:size] for size in sizes_bytes]


async def test_of_what_cannot_be_written_nothing_is_and_the_neighbours_arrive(way: Way) -> None:
    queue = await way.queue()
    first, last = numbered(queue, range(2))
    unwritable = [to("x" * 256), replace(to(queue), properties=Basic.Properties(priority=256))]

    assert await send(way, first, *unwritable, last) == [CONFIRMED, UNWRITABLE, UNWRITABLE, CONFIRMED]
    assert await way.bodies(queue, 2) == [b"0", b"1"]
    assert await send(way, *numbered(queue, range(2, 4))) == [CONFIRMED] * 2


async def everything_at_once(way: Way) -> None:
    queue, full = await way.queue(), await way.full_queue()
    mixed = [
        (to(queue, b"1"), CONFIRMED),
        (to(full, b"x"), CONFIRMED),
        (to("nobody", b"x", mandatory=True), RETURNED),
        (to("x" * 256), UNWRITABLE),
        (to(full, b"x"), NACKED),
        (to(queue, LARGE), CONFIRMED),
        (to("nobody"), CONFIRMED),
        (to(full, LARGE, mandatory=True), NACKED),
        (to(queue, b"2", mandatory=True), CONFIRMED),
    ]

    assert await send(way, *[message for message, _ in mixed]) == [end for _, end in mixed]
    assert await way.bodies(queue, 3) == [b"1", LARGE, b"2"]


async def test_everything_at_once(way: Way) -> None:
    await everything_at_once(way)


async def test_everything_at_once_on_the_loop_of_production(broker: PrivateBroker) -> None:
    async def main() -> None:
        async with way_to(broker.url) as way:
            await everything_at_once(way)

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    await asyncio.to_thread(run)


async def test_many_who_send_at_once_each_hear_of_their_own(way: Way) -> None:
    """More than the connection's write queue has places."""
    queue, full = await way.queue(), await way.full_queue()
    await send(way, to(full, b"x"))
    bursts = [[to(full if one % 3 else queue, b"%d" % one) for _ in range(20)] for one in range(40)]

    ends = await asyncio.gather(*[send(way, *burst) for burst in bursts])

    assert ends == [[NACKED if one % 3 else CONFIRMED] * 20 for one in range(40)]


async def test_a_connection_that_dies_before_the_confirms_leaves_them_unknown_at_once(
    broker: PrivateBroker,
) -> None:
    async with Proxy(broker.url) as proxy, way_to(proxy.url, look_at=broker.url) as way:
        queue = await way.queue()
        proxy.freeze()
        sending = asyncio.create_task(
            send(way, *numbered(queue, range(500)), *[to(queue, LARGE)] * 100, timeout_s=60)
        )
        await eventually(lambda: asyncio.sleep(0, way.channel.delivery_tag == 600))
        began_s = time.monotonic()

        proxy.cut()

        assert await sending == [UNKNOWN] * 600
        assert time.monotonic() - began_s < 30
        assert await send(way, to(queue)) == [UNKNOWN]


async def test_a_channel_that_the_broker_closes_leaves_what_had_no_confirm_unknown(way: Way) -> None:
    queue = await way.queue()
    missing = replace(to("k"), exchange="no.such.exchange")

    ends = await send(way, *numbered(queue, range(5)), missing, *numbered(queue, range(5)))

    assert ends[5:] == [UNKNOWN] * 6
    assert {*ends[:5]} <= {CONFIRMED, UNKNOWN}


async def test_an_alarm_costs_one_deadline_and_what_it_held_up_arrives_after_it(
    broker: PrivateBroker, way: Way
) -> None:
    queue = await way.queue()
    broker.run_out_of_memory()
    try:
        began_s = time.monotonic()
        held_up = await send(way, *numbered(queue, range(1_000)), timeout_s=0.5)
        took_s = time.monotonic() - began_s
    finally:
        broker.have_memory_again()

    assert UNKNOWN in held_up
    assert took_s < 30, "a deadline for each would take minutes"
    assert await send(way, *numbered(queue, range(1_000, 1_200))) == [CONFIRMED] * 200
    assert await way.bodies(queue, 1_200) == [b"%d" % number for number in range(1_200)]
    assert not way.channel.confirmations
