"""The client of `stream-worker`, for devices and for subscribers.

A device asks for its stream, and ends it::

    import asyncio
    import os

    from stream_client import StreamsClient


    async def device() -> None:
        async with StreamsClient(os.environ["STREAMS_AMQP_URL"]) as client:
            reply = await client.create("cam-1")
            print(reply.outcome, reply.stream.code)
            await client.stop(code=reply.stream.code)


    asyncio.run(device())

A subscriber sees what happens, each device's events in order, and is told of what it missed::

    import asyncio
    import os

    from stream_client import EventSubscriber


    async def subscriber() -> None:
        events = EventSubscriber(os.environ["STREAMS_AMQP_URL"], queue="billing", on_gap=print)
        async with events:
            async for event in events:
                print(event.sequence, event.type, event.stream.device_id)


    asyncio.run(subscriber())
"""

from schemas import Problem, StreamReply
from stream_client.client import StreamsClient
from stream_client.errors import (
    StreamClientError,
    StreamMisconfigured,
    StreamTimeout,
    StreamUnavailable,
    StreamUncertain,
    StreamUnreadable,
)
from stream_client.problems import (
    StreamExpired,
    StreamForbidden,
    StreamInternal,
    StreamInvalid,
    StreamMalformed,
    StreamMessageIdReused,
    StreamNotFound,
    StreamProblem,
    StreamTooLarge,
    StreamTooManyRequests,
    StreamUnknownCommand,
    StreamUnsupportedMediaType,
)
from stream_client.sequencer import Gap
from stream_client.sources import ReplayFrom
from stream_client.subscriber import EventSubscriber, OnGap

__all__ = [
    "EventSubscriber",
    "Gap",
    "OnGap",
    "Problem",
    "ReplayFrom",
    "StreamClientError",
    "StreamExpired",
    "StreamForbidden",
    "StreamInternal",
    "StreamInvalid",
    "StreamMalformed",
    "StreamMessageIdReused",
    "StreamMisconfigured",
    "StreamNotFound",
    "StreamProblem",
    "StreamReply",
    "StreamTimeout",
    "StreamTooLarge",
    "StreamTooManyRequests",
    "StreamUnavailable",
    "StreamUncertain",
    "StreamUnknownCommand",
    "StreamUnreadable",
    "StreamUnsupportedMediaType",
    "StreamsClient",
]
