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

A subscriber sees what happens, each fact at least once, each device's in order::

    import asyncio
    import os

    from stream_client import Sequencer, StreamsClient


    async def subscriber() -> None:
        client, sequencer = StreamsClient(os.environ["STREAMS_AMQP_URL"]), Sequencer()
        async with client.events(queue="billing") as events:
            async for event in events:
                if sequencer.note(event).is_new:
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
from stream_client.sequencer import Sequencer, Step
from stream_client.subscriber import EventSubscriber

__all__ = [
    "EventSubscriber",
    "Problem",
    "Sequencer",
    "Step",
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
