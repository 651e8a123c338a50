"""Writes many messages as one frame of bytes, and counts their confirms in one place."""

import asyncio
from collections.abc import Iterator, Sequence

import uvloop
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from benchmarks.peers.echo_loop import echo
from benchmarks.peers.echoing import Saying
from benchmarks.peers.place import place


async def publish(channel: Channel, says: Sequence[Saying]) -> None:
    """Publish all in one write and wait for every confirm."""
    loop = asyncio.get_running_loop()
    confirms = [loop.create_future() for _ in says]
    channel.confirmations.update(enumerate(confirms, channel.delivery_tag + 1))
    channel.delivery_tag += len(confirms)
    await channel.write_queue.put(
        ChannelFrame.marshall(channel.number, (frame for saying in says for frame in _frames(saying)))
    )
    for confirm in confirms:
        await confirm


def _frames(saying: Saying) -> Iterator[Basic.Publish | ContentHeader | ContentBody]:
    exchange, key, properties, body = saying
    yield Basic.Publish(exchange=exchange, routing_key=key)
    yield ContentHeader(properties=properties, body_size=len(body))
    yield ContentBody(body)


if __name__ == "__main__":
    uvloop.run(echo(place(), publish))
