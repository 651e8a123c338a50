"""The two ends of the wire as strangers see them: a device and a subscriber that know nothing but AMQP.

They do not use `stream_client`: what is tested here is bytes in and bytes out.
"""

import asyncio
import itertools
import json
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

ANSWER_WITHIN_S = 60.0  # where it matters how long, a test says so itself

T = TypeVar("T")

DIRECT = "amq.rabbitmq.reply-to"


async def eventually(look: Callable[[], Awaitable[T]], *, within_s: float = ANSWER_WITHIN_S) -> T:
    """Look again and again until there is something to see."""
    async with asyncio.timeout(within_s):
        while not (seen := await look()):  # noqa: ASYNC110 - what is looked at is another process's
            await asyncio.sleep(0.02)
        return seen


class Party(AbstractAsyncContextManager["Party"]):
    """Somebody with a connection and a channel of their own."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url
        self.namespace = namespace

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._url, timeout=ANSWER_WITHIN_S)
        self.channel: AbstractChannel = await self._connection.channel(publisher_confirms=True)
        await self._begin()
        return self

    async def _begin(self) -> None:
        """What a party does first."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()


class Device(Party):
    """Publishes commands, and hears what comes back to each of its two reply addresses."""

    async def _begin(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[AbstractIncomingMessage]] = {}
        self.strays: list[AbstractIncomingMessage] = []
        self._queue = await self.channel.declare_queue(exclusive=True)
        self.address = self._queue.name
        await self._queue.consume(self._hear, no_ack=True)
        direct = await self.channel.get_queue(DIRECT, ensure=False)
        await direct.consume(self._hear, no_ack=True)
        self._commands = await self.channel.get_exchange(f"{self.namespace}.commands", ensure=False)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        waiting = self._waiting.pop(message.correlation_id or "", None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        else:
            self.strays.append(message)

    async def tell(
        self, body: bytes, *, straight: bool = False, key: str = "some-device", **properties: Any
    ) -> None:
        """Publish a command and wait for nothing but the broker's confirm; `straight` to the queue, or by the
        exchange under a `key`.
        """
        properties = {"content_type": "application/json", "delivery_mode": 2} | properties
        properties = {name: value for name, value in properties.items() if value is not None}
        exchange = self.channel.default_exchange if straight else self._commands
        routing_key = f"{self.namespace}.commands" if straight else key
        await exchange.publish(aio_pika.Message(body, **properties), routing_key)

    async def tell_nameless(self, body: bytes, **properties: Any) -> None:
        """Publish a command without a message id: frame by frame, because aiormq makes one up."""
        channel = await (await self._connection.channel(publisher_confirms=False)).get_underlay_channel()
        frames = [
            Basic.Publish(exchange=f"{self.namespace}.commands", routing_key="some-device"),
            ContentHeader(
                body_size=len(body),
                properties=Basic.Properties(content_type="application/json", delivery_mode=2, **properties),
            ),
            ContentBody(body),
        ]
        await channel.write_queue.put(ChannelFrame.marshall(channel_number=channel.number, frames=frames))

    async def stray(self, is_meant: Callable[[AbstractIncomingMessage], bool]) -> AbstractIncomingMessage:
        """Wait for a message that no `ask` was waiting for."""

        async def look() -> AbstractIncomingMessage | None:
            return next((message for message in self.strays if is_meant(message)), None)

        return await eventually(look)

    async def ask(self, body: bytes, **properties: Any) -> AbstractIncomingMessage:
        """Publish a command and return the reply that bears its correlation id."""
        correlation_id = properties.pop("correlation_id", f"c{next(self._numbers)}-{uuid.uuid4().hex[:8]}")
        waiting = self._waiting[correlation_id] = asyncio.get_running_loop().create_future()
        properties.setdefault("reply_to", self.address)
        await self.tell(body, correlation_id=correlation_id, **properties)
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await waiting

    async def command(self, kind: str, *, message_id: str | None = None, **members: Any) -> dict[str, Any]:
        """Ask in the ordinary way and return the reply's body."""
        reply = await self.ask(json.dumps(members).encode(), type=f"stream.{kind}", message_id=message_id)
        body: dict[str, Any] = json.loads(reply.body)
        return body


class Listener(Party):
    """Hears everything of one queue, in order."""

    async def _begin(self) -> None:
        self.heard: list[AbstractIncomingMessage] = []
        queue = await self._queue()
        await queue.consume(self._hear, no_ack=True)

    async def _queue(self) -> AbstractQueue:
        raise NotImplementedError

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        self.heard.append(message)

    async def until(
        self, enough: Callable[[list[AbstractIncomingMessage]], bool], *, within_s: float = ANSWER_WITHIN_S
    ) -> list[AbstractIncomingMessage]:
        """Wait until what was heard is enough, and return it."""

        async def look() -> bool:
            return enough(self.heard)

        await eventually(look, within_s=within_s)
        return self.heard


class Subscriber(Listener):
    """A downstream service with a temporary queue."""

    def __init__(self, url: str, namespace: str, *, binding: str = "#") -> None:
        super().__init__(url, namespace)
        self._binding = binding

    async def _queue(self) -> AbstractQueue:
        queue = await self.channel.declare_queue(exclusive=True)
        await queue.bind(f"{self.namespace}.events", self._binding)
        return queue

    async def of_device(self, device_id: str, count: int) -> list[AbstractIncomingMessage]:
        """Wait for so many facts about one device, and return their first appearances, in order."""

        def firsts() -> list[AbstractIncomingMessage]:
            seen: dict[str | None, AbstractIncomingMessage] = {}
            for message in self.heard:
                if (message.routing_key or "").endswith(f".{device_id}"):
                    seen.setdefault(message.message_id, message)
            return list(seen.values())

        await self.until(lambda _: len(firsts()) >= count)
        return firsts()


class Undertaker(Party):
    """Looks at the dead letters."""

    async def find(self, body: bytes) -> AbstractIncomingMessage:
        """Wait for the dead letter with this body, and take it."""
        queue = await self.channel.get_queue(f"{self.namespace}.dead", ensure=False)

        async def look() -> AbstractIncomingMessage | None:
            others = []
            while (message := await queue.get(fail=False)) is not None:
                if message.body == body:
                    await message.ack()
                    break
                others.append(message)
            for other in others:
                await other.reject(requeue=True)
            return message

        return await eventually(look)

    async def depth(self, queue: str) -> int:
        """How many messages are ready in a queue of the namespace."""
        declared = await self.channel.declare_queue(f"{self.namespace}.{queue}", passive=True)
        return declared.declaration_result.message_count or 0

    async def all(self) -> list[AbstractIncomingMessage]:
        """Look at every dead letter that is there, and leave them."""
        queue = await self.channel.get_queue(f"{self.namespace}.dead", ensure=False)
        letters = []
        while (message := await queue.get(fail=False)) is not None:
            letters.append(message)
        for letter in letters:
            await letter.reject(requeue=True)
        return letters
