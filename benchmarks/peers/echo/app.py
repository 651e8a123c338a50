"""Publishes with many confirms in flight, each message a write and a future of its own."""

import asyncio
from collections.abc import Sequence

import uvloop
from aiormq.channel import Channel

from benchmarks.peers.echo_loop import echo
from benchmarks.peers.echoing import Saying
from benchmarks.peers.place import place


async def publish(channel: Channel, says: Sequence[Saying]) -> None:
    """Publish all at once and wait for every confirm."""
    await asyncio.gather(
        *(
            channel.basic_publish(body, exchange=exchange, routing_key=key, properties=properties, wait=False)
            for exchange, key, properties, body in says
        )
    )


if __name__ == "__main__":
    uvloop.run(echo(place(), publish))
