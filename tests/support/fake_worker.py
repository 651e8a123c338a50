"""A worker of a few lines, for the tests of the client: it answers as it is told, and publishes events."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from schemas import (
    Event,
    MediaType,
    Outcome,
    Problem,
    ReplyName,
    Stream,
    StreamCreated,
    StreamData,
    StreamReply,
    StreamStatus,
    StreamStopped,
    write_event,
    write_problem,
    write_reply,
)

WITHIN_S = 60.0
AT = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)

Answer = Callable[[AbstractIncomingMessage, int], Awaitable[StreamReply | Problem | bytes | None]]


def a_stream(device_id: str = "cam-1", *, version: int = 1) -> Stream:
    stopped = version > 1
    return Stream(
        id=UUID("0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"),
        device_id=device_id,
        code="7K3M9QXA",
        status=StreamStatus.STOPPED if stopped else StreamStatus.ACTIVE,
        created_at=AT,
        stopped_at=AT if stopped else None,
        version=version,
    )


def a_reply(device_id: str = "cam-1") -> StreamReply:
    return StreamReply(outcome=Outcome.CREATED, stream=a_stream(device_id))


def an_event(device_id: str, sequence: int, *, stopped: bool = False) -> Event:
    kind = StreamStopped if stopped else StreamCreated
    stream = a_stream(device_id, version=2 if stopped else 1)
    return kind(id=uuid4(), subject=stream.id, time=AT, sequence=str(sequence), data=StreamData(stream=stream))


def rendered(answer: StreamReply | Problem | bytes) -> tuple[str, bytes]:
    match answer:
        case StreamReply():
            return ReplyName.REPLY, write_reply(answer)
        case Problem():
            return ReplyName.PROBLEM, write_problem(answer)
        case bytes():
            return ReplyName.REPLY, answer


async def created(command: AbstractIncomingMessage, _: int) -> StreamReply:
    """Answer every command with a new stream of the device it was routed by."""
    return a_reply(command.routing_key or "")


async def silent(_command: AbstractIncomingMessage, _number: int) -> None:
    """Answer nothing."""


class FakeWorker:
    """Consumes commands and answers them as it is told; publishes events. Its topology is the contract's."""

    def __init__(self, channel: AbstractChannel, namespace: str) -> None:
        self.namespace = namespace
        self.received: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self.answer: Answer = created
        self.channel = channel
        self._count = 0

    @classmethod
    @asynccontextmanager
    async def working(cls, url: str, namespace: str) -> AsyncIterator["FakeWorker"]:
        """Work over a connection of its own."""
        async with await aio_pika.connect(url, timeout=WITHIN_S) as connection:
            yield await cls.start(await connection.channel(), namespace)

    @classmethod
    async def start(cls, channel: AbstractChannel, namespace: str) -> "FakeWorker":
        worker = cls(channel, namespace)
        name = f"{namespace}.commands"
        exchange = await channel.declare_exchange(name, "topic", durable=True)
        await channel.declare_exchange(f"{namespace}.events", "topic", durable=True)
        queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(exchange, "#")
        await queue.consume(worker._handle)
        return worker

    async def send(self, command: AbstractIncomingMessage, answer: StreamReply | Problem | bytes) -> None:
        name, body = rendered(answer)
        reply = aio_pika.Message(body, type=name, correlation_id=command.correlation_id)
        assert command.reply_to
        await self.channel.default_exchange.publish(reply, command.reply_to, mandatory=False)

    async def publish(self, event: Event) -> None:
        await self.publish_bytes(write_event(event), f"{event.type}.{event.stream.device_id}")

    async def publish_bytes(self, body: bytes, routing_key: str) -> None:
        exchange = await self.channel.get_exchange(f"{self.namespace}.events", ensure=False)
        message = aio_pika.Message(body, content_type=MediaType.EVENT, delivery_mode=2)
        await exchange.publish(message, routing_key, mandatory=False)

    async def _handle(self, command: AbstractIncomingMessage) -> None:
        self._count += 1
        self.received.put_nowait(command)
        await command.ack()
        answer = await self.answer(command, self._count)
        if answer is not None:
            await self.send(command, answer)
