"""The hot path of both echoes: consume, publish, and acknowledge many at once when all is confirmed."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import cast

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from benchmarks.peers.echoing import Echo, Saying, taken
from benchmarks.peers.place import Place

_UNDER_WAY_MAX = 2  # batches: one is being confirmed while the next is being written, as the worker does

Publish = Callable[[Channel, Sequence[Saying]], Coroutine[None, None, None]]
"""Publish all and return when all are confirmed."""


async def echo(here: Place, publish: Publish) -> None:
    """Answer until the process is ended. One connection consumes, another one publishes."""
    async with await aio_pika.connect(here.amqp_url) as inward, await aio_pika.connect(here.amqp_url) as outward:
        source, sink = await _channel(inward), await _channel(outward)
        arrived: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
        await source.basic_qos(prefetch_count=here.prefetch)
        await source.basic_consume(here.commands, arrived.put_nowait)  # type: ignore[arg-type] # it need not be async
        echoing, earlier = Echo(here), asyncio.create_task(asyncio.sleep(0))
        under_way = asyncio.Semaphore(_UNDER_WAY_MAX)
        while True:
            batch = await taken(arrived)
            await under_way.acquire()
            says = [saying for command in batch for saying in echoing.of(command)]
            said = asyncio.create_task(publish(sink, says))
            earlier = asyncio.create_task(_settle(source, batch[-1], said, earlier))
            earlier.add_done_callback(lambda _: under_way.release())


async def _channel(connection: AbstractConnection) -> Channel:
    return cast("Channel", await (await connection.channel()).get_underlay_channel())


async def _settle(
    source: Channel, last: DeliveredMessage, said: "asyncio.Task[None]", earlier: "asyncio.Task[None]"
) -> None:
    await earlier
    await said
    await source.basic_ack(cast("Basic.Deliver", last.delivery).delivery_tag or 0, multiple=True, wait=False)
