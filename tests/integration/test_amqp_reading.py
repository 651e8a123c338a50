"""Consuming from a real broker in our own way: bodies of every size, on lines of every kind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
import uvloop
from pamqp.commands import Basic

from devtools.broker import PrivateBroker
from tests.support.broker_side import options
from tests.support.proxy import Proxy
from tests.support.wire import eventually
from worker.amqp.burst import End, send_burst
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.link import Link
from worker.amqp.messages import WireMessage
from worker.amqp.shortcut import Straight
from worker.service.ports import EpochOver

FRAME_BYTES_MAX: Final = 8_192
LARGE: Final = bytes(range(256)) * 400
SIZES_BYTES: Final = (0, 1, FRAME_BYTES_MAX - 8, FRAME_BYTES_MAX - 7, len(LARGE), 0, 3)


@asynccontextmanager
async def links(url: str, *, consume_from: str | None = None) -> AsyncIterator[tuple[Link, Link]]:
    publishing = await Link.open(options(url), purpose="publishing", confirms=True)
    consuming = await Link.open(options(consume_from or url), purpose="consuming", confirms=False)
    try:
        yield publishing, consuming
    finally:
        await asyncio.gather(publishing.close(), consuming.close())


async def publish(link: Link, queue: str, *bodies: bytes) -> None:
    sent = [
        WireMessage(exchange="", routing_key=queue, properties=Basic.Properties(delivery_mode=1), body=body)
        for body in bodies
    ]
    assert await send_burst(link.channel, sent, timeout_s=60) == [End.CONFIRMED] * len(bodies)


async def queue_of(link: Link) -> str:
    return (await link.channel.queue_declare("", auto_delete=True)).queue or ""


async def consume(link: Link, queue: str) -> list[AmqpDelivery]:
    taken: list[AmqpDelivery] = []
    await link.channel.basic_consume(queue, Straight(take=taken.append))  # type: ignore[arg-type]
    return taken


async def until(taken: list[AmqpDelivery], count: int) -> list[bytes]:
    await eventually(lambda: asyncio.sleep(0, len(taken) >= count))
    return [each.body for each in taken]


async def test_bodies_of_many_frames_are_taken_whole_and_in_order() -> None:
    with PrivateBroker(settings={"frame_max": str(FRAME_BYTES_MAX)}) as node:
        async with links(node.url) as (publishing, consuming):
            queue = await queue_of(publishing)
            taken = await consume(consuming, queue)
            bodies = [LARGE[:size] for size in SIZES_BYTES]

            await publish(publishing, queue, *bodies)

            assert await until(taken, len(bodies)) == bodies
            assert [each.tag for each in taken] == list(range(1, len(bodies) + 1))


async def test_one_byte_at_a_time_is_as_good(broker: PrivateBroker, proxy: Proxy) -> None:
    async with links(broker.url, consume_from=proxy.url) as (publishing, consuming):
        queues = [await queue_of(publishing) for _ in range(2)]
        takens = [await consume(consuming, queue) for queue in queues]
        proxy.slice(1, "to_client")

        for queue in queues:
            await publish(publishing, queue, b"", b"a", b"b" * 300)

        for taken in takens:
            assert await until(taken, 3) == [b"", b"a", b"b" * 300]


@pytest.mark.parametrize("count_bytes", [1, 9, 60, 90, 200])
async def test_a_line_that_is_cut_anywhere_ends_the_link_and_hands_over_nothing_that_is_not_whole(
    broker: PrivateBroker, proxy: Proxy, count_bytes: int
) -> None:
    async with links(broker.url, consume_from=proxy.url) as (publishing, consuming):
        queue = await queue_of(publishing)
        taken = await consume(consuming, queue)
        lost: asyncio.Future[EpochOver] = asyncio.get_running_loop().create_future()
        consuming.when_lost(lost.set_result)
        proxy.cut_after(count_bytes, "to_client")

        await publish(publishing, queue, *[b"x" * 20] * 5)

        async with asyncio.timeout(60):
            assert "the connection is gone" in str(await lost)
        assert all(each.body == b"x" * 20 for each in taken)
        assert len(taken) <= count_bytes // 60


async def test_thousands_are_taken_in_order_on_the_loop_of_production(broker: PrivateBroker) -> None:
    async def main() -> list[bytes]:
        async with links(broker.url) as (publishing, consuming):
            queue = await queue_of(publishing)
            for start in range(0, 3_000, 250):
                await publish(publishing, queue, *[b"%d" % number for number in range(start, start + 250)])
            return await until(await consume(consuming, queue), 3_000)

    def run() -> list[bytes]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())

    assert await asyncio.to_thread(run) == [b"%d" % number for number in range(3_000)]
