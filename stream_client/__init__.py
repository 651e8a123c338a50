"""The client of `stream-worker`, for devices and for subscribers.

A device asks for its stream, and ends it. A command that is sent again, by the client or by you, takes effect once
as long as its `message_id` is the same::

    import asyncio
    import os

    from stream_client import StreamNotFound, StreamsClient, StreamTimeout


    async def device() -> None:
        async with StreamsClient(os.environ["STREAMS_AMQP_URL"], timeout_s=10) as client:
            try:
                reply = await client.create("cam-1")
            except StreamTimeout as unknown:  # nobody answered; it may have been carried out
                reply = await client.create("cam-1", message_id=unknown.message_id, timeout_s=60)
            print(reply.outcome, reply.stream.code)
            try:
                await client.stop(code=reply.stream.code)
            except StreamNotFound as refused:  # each problem has a class; all are StreamProblem
                print(refused.problem.detail)


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

One that comes late replays the history, which the worker keeps with `STREAMS_EVENT_LOG=on`, and goes on with what
happens. Where it was it keeps itself, beside what it made of the events::

    import asyncio
    import os
    from pathlib import Path

    from stream_client import EventSubscriber

    PLACE = Path("place.txt")


    async def latecomer() -> None:
        replay_from = int(PLACE.read_text()) if PLACE.exists() else "first"
        events = EventSubscriber(os.environ["STREAMS_AMQP_URL"], replay_from=replay_from, on_gap=print)
        async with events:
            async for event in events:
                print(event.sequence, event.type, event.stream.device_id)
                PLACE.write_text(str(events.next_offset))


    asyncio.run(latecomer())
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
