"""A subscriber: it prints what happens to streams.

python subscriber.py [queue]
"""

import asyncio
import os
import sys

from stream_client import Sequencer, StreamClient

BROKER = os.environ.get("STREAMS_AMQP_URL", "amqp://guest:guest@localhost:5672/")


async def subscriber(queue: str) -> None:
    # The queue is durable: what happens while nobody listens is there the next time. An event is acknowledged when
    # the next one is asked for, so after this loop is done with it; and a lost connection is built again.
    sequencer = Sequencer()
    async with StreamClient(BROKER).events(queue=queue) as events:
        async for event in events:
            step = sequencer.note(event)
            if not step.is_new:
                continue  # events come at least once
            if step.missed:
                print(f"missed {step.missed} of {event.stream.device_id}", flush=True)
            print(event.sequence, event.type, event.stream.device_id, event.stream.code, flush=True)


asyncio.run(subscriber(sys.argv[1] if len(sys.argv) > 1 else "example-python"))
