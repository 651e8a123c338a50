"""A subscriber who reads nothing: the broker has every event refused, until he is gone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import aio_pika
from aio_pika.abc import AbstractQueue

from tests.faults.snapshot import count_unpublished
from tests.faults.world import World
from tests.support.wire import eventually

_WITHIN_S: Final = 30.0


@asynccontextmanager
async def full_queue(world: World) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Have events refused for as long as the block lasts. What it lends waits until some were."""
    async with full_subscriber(world, "#") as queue:

        async def refused() -> None:
            await eventually(lambda: count_unpublished(world.database_url), within_s=_WITHIN_S)
            await event_is_left(world)

        yield refused
        await queue.delete(if_empty=False)


@asynccontextmanager
async def full_subscriber(world: World, pattern: str) -> AsyncIterator[AbstractQueue]:
    """Bind a queue to the events of this pattern that has no room for any of them."""
    async with await aio_pika.connect(world.servers.broker.url, timeout=_WITHIN_S) as connection:
        channel = await connection.channel(publisher_confirms=True)
        queue = await channel.declare_queue(
            exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
        )
        await channel.default_exchange.publish(aio_pika.Message(b"it is full"), routing_key=queue.name)
        await queue.bind(f"{world.namespace}.events", pattern)
        yield queue


async def event_is_left(world: World) -> None:
    """Wait until some worker has given a refused event up for now. Raises TimeoutError."""
    await eventually(lambda: _is_left(world), within_s=_WITHIN_S)


async def _is_left(world: World) -> bool:
    return any('"event.left_to_relay"' in keeper.log for keeper in world.keepers)
