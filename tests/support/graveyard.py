"""The dead queue of a namespace, filled as the worker and the broker fill it, and seen by the command line."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import aio_pika
from typing_extensions import override

from tests.support.broker_side import Stranger, options
from tests.support.command_line import Ended, stream_worker_meanwhile
from worker.amqp import session
from worker.amqp.topology import topology

AT_ONCE_MAX = 200


class Graveyard(Stranger):
    """Digs graves on a broker that has no worker, and asks `stream-worker dead` about them."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(url, namespace)
        self.settings = {"STREAMS_AMQP_URL": url, "STREAMS_NAMESPACE": namespace}

    @override
    async def __aenter__(self) -> Self:
        await session.apply_topology(options(self.settings["STREAMS_AMQP_URL"]), topology(self.namespace))
        return await super().__aenter__()

    async def bury(
        self,
        *bodies: bytes,
        reason: str = "internal",
        died_s_ago: float = 60,
        key: str = "cam-1",
        **properties: Any,
    ) -> None:
        """Make letters as the worker does, in order; `{}` in the message id becomes the number of each."""
        ours: dict[str, Any] = {
            "x-streams-reason": reason,
            "x-streams-detail": "said the test",
            "x-streams-failed-at": (datetime.now(UTC) - timedelta(seconds=died_s_ago)).isoformat(),
            "x-streams-routing-key": key,
        }
        properties = {"type": "stream.create", "delivery_mode": 2, "message_id": "m-{}"} | properties
        headers, name = ours | properties.pop("headers", {}), properties.pop("message_id")
        exchange = await self.channel.get_exchange(f"{self.namespace}.dead", ensure=False)
        few = asyncio.Semaphore(AT_ONCE_MAX)

        async def one(number: int, body: bytes) -> None:
            async with few:
                message = aio_pika.Message(body, headers=headers, message_id=name.format(number), **properties)
                await exchange.publish(message, key)

        await asyncio.gather(*(one(number, body) for number, body in enumerate(bodies, 1)))

    async def expire(self, *bodies: bytes, **properties: Any) -> None:
        """Send commands that the broker gives up at once, and wait until it has."""
        before = await self.ready("dead")
        await self.send(*bodies, **{"expiration": 0.001} | properties)
        await self.until_ready("dead", before + len(bodies))

    async def dead(self, *arguments: str, **settings: str) -> Ended:
        """Run `stream-worker dead`, and wait until what it looked at is back."""
        ended = await stream_worker_meanwhile("dead", *arguments, **self.settings | settings)
        await self.until_consumers("dead", 0)
        return ended

    async def listed(self, *arguments: str) -> list[dict[str, Any]]:
        """Return what `dead list` shows."""
        ended = await self.dead("list", "--json", *arguments)
        assert ended.code == 0, ended.err
        return [json.loads(line) for line in ended.out.splitlines()]

    async def ids(self, *arguments: str) -> list[str]:
        """Return the message ids that `dead list` shows, in its order."""
        return [letter["message_id"] for letter in await self.listed(*arguments)]
