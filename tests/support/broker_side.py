"""The broker's side of a worker on a real broker, and a stranger who looks at it from outside."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from typing_extensions import override

from tests.support.deliveries import decoder
from tests.support.making import Tag
from tests.support.wire import ANSWER_WITHIN_S, eventually
from worker.amqp import guard
from worker.amqp.options import BrokerOptions
from worker.amqp.session import Session, Sessions
from worker.amqp.topology import topology
from worker.service.messages import Answer, DeadLetter, Delivery, Incoming, Reply, ReplyTo, StoredEvent

NOW = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
GOOD = b'{"device_id": "cam-1"}'


# Nothing but a broker that is of no use takes as long; whoever tests that has deadlines of their own.
_PATIENT = {"connect_timeout_s": 30.0, "confirm_timeout_s": 30.0, "settle_timeout_s": 30.0}


def options(url: str, **changed: Any) -> BrokerOptions:
    """Options with deadlines that fit a broker beside us on a busy machine."""
    return BrokerOptions(**{"url": url, "worker_name": "tested"} | _PATIENT | changed)


class StartedSessions(Sessions):
    """Sessions whose consumer is started at once. The pipeline does so when its first sweep is said."""

    @override
    @asynccontextmanager
    async def open(self) -> AsyncIterator[Session]:
        async with super().open() as session:
            await session.consumer.start()
            yield session


def sessions(url: str, namespace: str, *, declares: bool = True, partitions: int = 1, **changed: Any) -> Sessions:
    """What opens epochs under a namespace; `changed` are options."""
    guard.install()
    return StartedSessions(
        options=options(url, **changed),
        topology=topology(namespace, partitions),
        declares=declares,
        decoder=decoder(namespace=namespace),
        clock=lambda: NOW,
    )


async def take(session: Session, count: int) -> list[Incoming]:
    """Take so many, however many come at a time."""
    taken: list[Incoming] = []
    while len(taken) < count:
        some = await session.consumer.take(count - len(taken), within_s=ANSWER_WITHIN_S)
        assert some, f"only {len(taken)} of {count} came"
        taken += some
    return taken


def deliveries(incoming: Sequence[Incoming]) -> list[Delivery]:
    return [message.delivery for message in incoming]


def bodies(incoming: Sequence[Incoming]) -> list[bytes]:
    return [message.delivery.body for message in incoming]  # type: ignore[attr-defined]


def event(sequence: int = 1, *, device_id: str = "cam-1", body: bytes | None = None) -> StoredEvent:
    return StoredEvent(
        id=uuid4(),
        device_id=device_id,
        sequence=sequence,
        type="stream.created",
        at=NOW,
        body=body or b"%d" % sequence,
    )


def reply(address: str, *, body: bytes = b"{}", correlation_id: str | None = "c-1") -> Reply:
    answer = Answer(type="stream.reply", content_type="application/json", body=body)
    return Reply(
        delivery=Tag(tag=1),
        to=ReplyTo(address=address, correlation_id=correlation_id),
        message_id=str(UUID(int=1)),
        answer=answer,
    )


def letter(message: Incoming, *, reason: str = "malformed", detail: str = "no JSON") -> DeadLetter:
    return DeadLetter(delivery=message.delivery, reason=reason, detail=detail)


class Stranger(AbstractAsyncContextManager["Stranger"]):
    """Somebody with a connection of their own: makes queues, publishes commands, and reads what there is."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url
        self.namespace = namespace

    async def __aenter__(self) -> Self:
        guard.install()
        self._connection = await aio_pika.connect(self._url, timeout=ANSWER_WITHIN_S)
        self.channel = await self._connection.channel(publisher_confirms=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def send(self, *bodies: bytes, device: str = "cam-1", **properties: Any) -> None:
        """Publish a device's commands to the command exchange, in order."""
        exchange = await self.channel.get_exchange(f"{self.namespace}.commands", ensure=False)
        properties = {"type": "stream.create", "delivery_mode": 2} | properties
        for body in bodies:
            await exchange.publish(aio_pika.Message(body, **properties), device)

    async def ready(self, queue: str) -> int:
        """How many messages wait in a queue of the namespace."""
        declared = await self.channel.declare_queue(f"{self.namespace}.{queue}", passive=True)
        return declared.declaration_result.message_count or 0

    async def consumers(self, queue: str) -> int:
        """How many consumers a queue of the namespace has."""
        declared = await self.channel.declare_queue(f"{self.namespace}.{queue}", passive=True)
        return declared.declaration_result.consumer_count or 0

    async def until_ready(self, queue: str, count: int) -> None:
        """Wait until so many messages wait in a queue."""

        async def look() -> bool:
            return await self.ready(queue) == count

        await eventually(look)

    async def until_consumers(self, queue: str, count: int) -> None:
        """Wait until a queue has so many consumers."""

        async def look() -> bool:
            return await self.consumers(queue) == count

        await eventually(look)

    async def get(self, queue: str) -> AbstractIncomingMessage:
        """Wait for a message in a queue, by its whole name, and take it for good."""
        opened = await self.channel.get_queue(queue, ensure=False)

        async def look() -> AbstractIncomingMessage | None:
            return await opened.get(no_ack=True, fail=False)

        return await eventually(look)
