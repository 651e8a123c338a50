"""A message over the broker's limit costs its publisher the channel, and nobody else anything."""

import aio_pika
import pytest
from aio_pika.exceptions import ChannelClosed, ChannelPreconditionFailed

from devtools.broker import PrivateBroker
from devtools.node import SETTINGS

LIMIT_BYTES = int(SETTINGS["max_message_size"])
ANSWER_WITHIN_S = 60.0


async def publish(channel: aio_pika.abc.AbstractChannel, queue: str, size_bytes: int) -> None:
    message = aio_pika.Message(b"x" * size_bytes)
    await channel.default_exchange.publish(message, queue, timeout=ANSWER_WITHIN_S)


async def test_a_message_over_the_limit_ends_its_publishers_channel_only(broker: PrivateBroker) -> None:
    async with await aio_pika.connect(broker.url, timeout=ANSWER_WITHIN_S) as connection:
        theirs, another = await connection.channel(), await connection.channel()
        queue = await another.declare_queue(exclusive=True)

        with pytest.raises((ChannelPreconditionFailed, ChannelClosed)):
            await publish(theirs, queue.name, LIMIT_BYTES + 1)

        await publish(another, queue.name, LIMIT_BYTES)
        arrived = await queue.get(no_ack=True, timeout=ANSWER_WITHIN_S)
        assert len(arrived.body) == LIMIT_BYTES
        assert theirs.is_closed
        assert not connection.is_closed
        assert await queue.get(no_ack=True, fail=False, timeout=ANSWER_WITHIN_S) is None


@pytest.mark.slow
async def test_who_makes_a_node_may_choose_another_limit() -> None:
    with PrivateBroker(settings={"max_message_size": "1000"}) as node:
        async with await aio_pika.connect(node.url, timeout=ANSWER_WITHIN_S) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue(exclusive=True)
            await publish(channel, queue.name, 1_000)
            with pytest.raises((ChannelPreconditionFailed, ChannelClosed)):
                await publish(channel, queue.name, 1_001)
