"""A device: it starts its stream and ends it.

python device.py cam-1 [message-id]
"""

import asyncio
import logging
import os
import sys
import uuid

from stream_client import StreamClientError, StreamProblem, StreamReply, StreamsClient

BROKER = os.environ.get("STREAMS_AMQP_URL", "amqp://guest:guest@localhost:5672/")


async def device(device_id: str, message_id: str) -> None:
    # For 15 seconds the client asks again by itself, with the same message id: the command takes effect once.
    async with StreamsClient(BROKER, timeout_s=15) as client:
        reply = await client.create(device_id, message_id=message_id)
        show(reply)
        show(await client.stop(code=reply.stream.code))


def show(reply: StreamReply) -> None:
    print(reply.outcome, reply.stream.device_id, reply.stream.code)


def main() -> None:
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # it logs what the client raises, too
    device_id, *given = sys.argv[1:]
    # A device that may crash writes its message id down before it asks, and asks with it again.
    message_id = given[0] if given else str(uuid.uuid4())
    try:
        asyncio.run(device(device_id, message_id))
    except StreamProblem as refused:
        sys.exit(f"{refused.problem.code}: {refused.problem.detail}")
    except StreamClientError as error:
        print(f"no answer: {error}; run it again with the message id {message_id}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)


main()
