"""A subscriber: it prints what happens to streams.

python subscriber.py [queue]
"""

import asyncio
import os
import sys

from stream_client import EventSubscriber, Gap

BROKER = os.environ.get("STREAMS_AMQP_URL", "amqp://guest:guest@localhost:5672/")


async def subscriber(queue: str) -> None:
    # The queue is durable: what happens while nobody listens is there the next time. An event is acknowledged when
    # the next one is asked for, so after this loop is done with it; what comes again is dropped, and a lost
    # connection is built again.
    async with EventSubscriber(BROKER, queue=queue, on_gap=tell) as events:
        async for event in events:
            print(event.sequence, event.type, event.stream.device_id, event.stream.code, flush=True)


def tell(gap: Gap) -> None:
    print(f"missed {gap.last - gap.first + 1} of {gap.device_id}", flush=True)


asyncio.run(subscriber(sys.argv[1] if len(sys.argv) > 1 else "example-python"))
