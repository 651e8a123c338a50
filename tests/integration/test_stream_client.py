"""The client against a real broker and a worker of a few lines."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pamqp.common import FieldTable
from yarl import URL

from devtools.broker import PrivateBroker
from schemas import (
    Event,
    MediaType,
    Outcome,
    Problem,
    ProblemCode,
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
from stream_client import (
    EventSubscription,
    StreamClient,
    StreamMisconfigured,
    StreamProblem,
    StreamTimeout,
    StreamUnavailable,
    StreamUnreadable,
)

WITHIN_S = 15.0
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


class Worker:
    """Consumes commands and answers them as it is told; publishes events. Its topology is the contract's."""

    def __init__(self, channel: AbstractChannel, namespace: str) -> None:
        self.namespace = namespace
        self.received: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
        self.answer: Answer = created
        self._channel = channel
        self._count = 0

    @classmethod
    async def start(cls, channel: AbstractChannel, namespace: str) -> "Worker":
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
        await self._channel.default_exchange.publish(reply, command.reply_to, mandatory=False)

    async def publish(self, event: Event) -> None:
        await self.publish_bytes(write_event(event), f"{event.type}.{event.stream.device_id}")

    async def publish_bytes(self, body: bytes, routing_key: str) -> None:
        exchange = await self._channel.get_exchange(f"{self.namespace}.events", ensure=False)
        message = aio_pika.Message(body, content_type=MediaType.EVENT, delivery_mode=2)
        await exchange.publish(message, routing_key, mandatory=False)

    async def _handle(self, command: AbstractIncomingMessage) -> None:
        self._count += 1
        self.received.put_nowait(command)
        await command.ack()
        answer = await self.answer(command, self._count)
        if answer is not None:
            await self.send(command, answer)


class Cable:
    """TCP connections to the broker that can be cut, and that can go silent.

    `holds` is set once it keeps something back. A connection that would carry more than `carries_bytes_max` one
    way breaks; with 0 none is made.
    """

    def __init__(self, url: str) -> None:
        self._target = URL(url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: list[asyncio.Event] = []
        self.holds = asyncio.Event()
        self.carries_bytes_max: int | None = None

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        """Return the URL at which the broker is reached through this cable."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield str(self._target.with_port(port))
        finally:
            server.close()
            self.cut()
            await server.wait_closed()

    def cut(self) -> None:
        """End every connection; new ones are carried."""
        for writer in self._writers:
            writer.transport.abort()
        for carrying in self._carrying:
            carrying.set()

    def silence(self) -> None:
        """Carry nothing more for the connections that are there; new ones are carried."""
        for carrying in self._carrying:
            carrying.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.carries_bytes_max == 0:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._target.host, self._target.port)
        carrying = asyncio.Event()
        carrying.set()
        self._carrying.append(carrying)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer, carrying), self._carry(far_reader, writer, carrying))
        self._writers -= {writer, far_writer}

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carrying: asyncio.Event
    ) -> None:
        carried_bytes = 0
        try:
            while data := await reader.read(65536):
                if not carrying.is_set():
                    self.holds.set()
                await carrying.wait()
                carried_bytes += len(data)
                if self.carries_bytes_max is not None and carried_bytes > self.carries_bytes_max:
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()


@pytest.fixture
async def channel(broker: PrivateBroker) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(broker.url, timeout=WITHIN_S)
    async with connection:
        yield await connection.channel()


@pytest.fixture
async def worker(channel: AbstractChannel, namespace: str) -> Worker:
    return await Worker.start(channel, namespace)


@pytest.fixture
async def client(broker: PrivateBroker, worker: Worker) -> AsyncIterator[StreamClient]:
    async with StreamClient(broker.url, namespace=worker.namespace) as client:
        yield client


@pytest.fixture
async def cable(broker: PrivateBroker) -> Cable:
    return Cable(broker.url)


async def first_of(events: EventSubscription) -> AsyncIterator[Event]:
    yield await next_event(events)


async def next_event(events: EventSubscription) -> Event:
    async with asyncio.timeout(WITHIN_S):
        return await anext(events)


async def test_each_reply_reaches_the_one_who_asked(worker: Worker, client: StreamClient) -> None:
    waiting: list[AbstractIncomingMessage] = []

    async def when_all_are_here_backwards(command: AbstractIncomingMessage, number: int) -> None:
        waiting.append(command)
        if number == 10:
            for one in reversed(waiting):
                await worker.send(one, a_reply(one.routing_key or ""))

    worker.answer = when_all_are_here_backwards
    devices = [f"cam-{number}" for number in range(10)]

    replies = await asyncio.gather(*(client.create(device) for device in devices))

    assert [reply.stream.device_id for reply in replies] == devices


async def test_a_command_is_persistent_and_can_be_told_from_every_other(
    worker: Worker, client: StreamClient
) -> None:
    await client.create("cam-1")
    await client.stop(code="7K3M-9QXA")
    first, second = worker.received.get_nowait(), worker.received.get_nowait()

    assert (first.type, first.body) == ("stream.create", b'{"device_id":"cam-1"}')
    assert (second.type, second.body) == ("stream.stop", b'{"code":"7K3M-9QXA"}')
    assert (first.routing_key, second.routing_key) == ("cam-1", "any")
    assert (first.content_type, first.delivery_mode) == ("application/json", 2)
    assert (first.reply_to or "").startswith("amq.rabbitmq.reply-to.")
    assert first.message_id != second.message_id
    assert first.correlation_id != second.correlation_id


async def test_a_problem_is_raised_and_a_request_returns_it(worker: Worker, client: StreamClient) -> None:
    problem = Problem.make(ProblemCode.NOT_FOUND, "The device never had a stream.")

    async def not_found(_command: AbstractIncomingMessage, _number: int) -> Problem:
        return problem

    worker.answer = not_found
    with pytest.raises(StreamProblem, match="Stream not found: The device never had a stream") as raised:
        await client.get(device_id="cam-1")

    assert raised.value.problem == problem
    assert await client.request("stream.get", {"device_id": "cam-1"}) == problem


async def test_a_silent_worker_is_asked_again_with_the_same_message_id(
    broker: PrivateBroker, worker: Worker
) -> None:
    worker.answer = silent
    async with StreamClient(
        broker.url, namespace=worker.namespace, timeout_s=1.5, attempt_s=0.3, attempts_max=3
    ) as client:
        with pytest.raises(StreamTimeout):
            await client.request("stream.create", {"device_id": "cam-1"}, message_id="the-one")

    commands = [worker.received.get_nowait() for _ in range(worker.received.qsize())]
    assert len(commands) == 3
    assert {command.message_id for command in commands} == {"the-one"}


async def test_a_reply_to_an_earlier_try_counts_and_the_second_is_ignored(
    broker: PrivateBroker, worker: Worker
) -> None:
    early: list[AbstractIncomingMessage] = []

    async def late(command: AbstractIncomingMessage, number: int) -> None:
        early.append(command)
        if number == 2:
            await worker.send(early[0], a_reply("first"))
            await worker.send(early[1], a_reply("second"))

    worker.answer = late
    async with StreamClient(broker.url, namespace=worker.namespace, attempt_s=0.3) as client:
        assert (await client.create("cam-1")).stream.device_id == "first"
        worker.answer = created
        assert (await client.create("cam-2")).stream.device_id == "cam-2"


async def test_a_command_keeps_its_message_id_when_the_connection_is_cut(cable: Cable, worker: Worker) -> None:
    async def cut_the_first(command: AbstractIncomingMessage, number: int) -> StreamReply | None:
        if number == 1:
            cable.cut()
            return None
        return await created(command, number)

    worker.answer = cut_the_first
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace, attempt_s=WITHIN_S) as client:
        reply = await client.create("cam-1")

    first, second = worker.received.get_nowait(), worker.received.get_nowait()
    assert reply.stream.device_id == "cam-1"
    assert first.message_id == second.message_id


async def test_a_connection_that_falls_silent_is_left_for_a_new_one(cable: Cable, worker: Worker) -> None:
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace, attempt_s=0.5) as client:
        await client.create("cam-1")
        cable.silence()

        assert (await client.create("cam-2")).stream.device_id == "cam-2"


async def test_a_command_that_was_cut_off_before_its_confirm_is_sent_again(cable: Cable, worker: Worker) -> None:
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace, attempt_s=WITHIN_S) as client:
        await client.create("cam-1")
        cable.silence()
        request = asyncio.create_task(client.create("cam-2"))
        await cable.holds.wait()
        cable.cut()

        assert (await request).stream.device_id == "cam-2"


@pytest.mark.parametrize("carries_bytes_max", range(0, 600, 20))
async def test_a_connection_that_breaks_while_it_is_opened_is_unavailable(
    cable: Cable, worker: Worker, carries_bytes_max: int
) -> None:
    cable.carries_bytes_max = carries_bytes_max
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace, attempts_max=1) as client:
        with pytest.raises((StreamUnavailable, StreamTimeout)):  # it depends on how far it got
            await client.create("cam-1")
        with pytest.raises(StreamUnavailable):
            await client.events().__aenter__()


async def test_the_heartbeat_of_the_url_is_taken(broker: PrivateBroker, worker: Worker) -> None:
    async with StreamClient(f"{broker.url}?heartbeat=5", namespace=worker.namespace) as client:
        assert (await client.create("cam-1")).stream.device_id == "cam-1"


async def test_a_cancelled_request_is_cancelled(worker: Worker, client: StreamClient) -> None:
    worker.answer = silent
    request = asyncio.create_task(client.create("cam-1"))
    await worker.received.get()

    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request
    worker.answer = created
    assert (await client.create("cam-2")).stream.device_id == "cam-2"


async def test_a_missing_exchange_says_what_to_do(broker: PrivateBroker) -> None:
    async with StreamClient(broker.url, namespace="nobody") as client:
        with pytest.raises(StreamMisconfigured, match="stream-worker topology apply"):
            await client.create("cam-1")
        with pytest.raises(StreamMisconfigured, match="stream-worker topology apply"):
            await client.events().__aenter__()


async def test_an_exchange_without_a_queue_says_what_to_do(
    channel: AbstractChannel, worker: Worker, client: StreamClient
) -> None:
    queue = await channel.get_queue(f"{worker.namespace}.commands")
    await queue.unbind(f"{worker.namespace}.commands", "#")

    with pytest.raises(StreamMisconfigured, match="no queue is bound"):
        await client.create("cam-1")


async def test_a_full_queue_makes_it_unavailable(
    channel: AbstractChannel, broker: PrivateBroker, namespace: str
) -> None:
    exchange = await channel.declare_exchange(f"{namespace}.commands", "topic", auto_delete=True)
    full: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
    queue = await channel.declare_queue(exclusive=True, arguments=full)
    await queue.bind(exchange, "#")

    async with StreamClient(broker.url, namespace=namespace, attempts_max=2) as client:
        with pytest.raises(StreamUnavailable, match="its queue is full"):
            await client.create("cam-1")


async def test_a_broker_that_is_away_makes_it_unavailable() -> None:
    async with StreamClient("amqp://guest:s3cret@127.0.0.1:1/", attempts_max=2) as client:
        with pytest.raises(StreamUnavailable, match=r"127\.0\.0\.1:1 cannot be reached") as raised:
            await client.create("cam-1")

    assert "s3cret" not in str(raised.value)


async def test_a_wrong_password_is_told_at_once(broker: PrivateBroker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    async with StreamClient(str(URL(broker.url).with_password("s3cret"))) as client:
        with pytest.raises(StreamMisconfigured, match="refused") as raised:
            await client.create("cam-1")

    assert "s3cret" not in str(raised.value)
    assert "command.attempt_failed" not in [record.message for record in caplog.records]


async def test_a_reply_that_cannot_be_read_is_told(worker: Worker, client: StreamClient) -> None:
    async def nonsense(_command: AbstractIncomingMessage, _number: int) -> bytes:
        return b'{"outcome": "exploded"}'

    worker.answer = nonsense
    with pytest.raises(StreamUnreadable, match="does not fit its schema"):
        await client.create("cam-1")


async def test_a_reply_of_another_type_is_told(
    channel: AbstractChannel, worker: Worker, client: StreamClient
) -> None:
    async def greeting(command: AbstractIncomingMessage, _number: int) -> None:
        reply = aio_pika.Message(b"{}", type="hello", correlation_id=command.correlation_id)
        await channel.default_exchange.publish(reply, command.reply_to or "", mandatory=False)

    worker.answer = greeting
    with pytest.raises(StreamUnreadable, match="neither"):
        await client.create("cam-1")


async def test_a_closed_client_says_so(worker: Worker, client: StreamClient) -> None:
    worker.answer = silent
    request = asyncio.create_task(client.create("cam-1"))
    await worker.received.get()
    await client.close()

    with pytest.raises(StreamTimeout, match="lost"):
        await request
    with pytest.raises(StreamUnavailable, match="closed"):
        await client.create("cam-1")


async def test_a_subscription_gets_what_it_asked_for(worker: Worker, client: StreamClient) -> None:
    async with (
        client.events() as everything,
        client.events(type="stream.stopped") as stopped,
        client.events(device="site.7") as device,
        client.events(device="site.7", type="stream.created") as both,
    ):
        published = [
            an_event("site.7", 1),
            an_event("site.7", 2, stopped=True),
            an_event("7", 1),
            an_event("site", 1, stopped=True),
            an_event("site.7", 3),
        ]
        for event in published:
            await worker.publish(event)

        assert [await next_event(everything) for _ in published] == published
        assert [await next_event(stopped) for _ in range(2)] == [published[1], published[3]]
        assert [await next_event(device) for _ in range(3)] == [published[0], published[1], published[4]]
        assert [await next_event(both) for _ in range(2)] == [published[0], published[4]]


async def test_a_durable_queue_keeps_what_was_not_seen(
    channel: AbstractChannel, worker: Worker, client: StreamClient
) -> None:
    published = [an_event("cam-1", number) for number in range(1, 5)]
    name = f"{worker.namespace}.billing"
    async with client.events(queue=name) as events:
        await worker.publish(published[0])
        await worker.publish(published[1])
        assert [await next_event(events), await next_event(events)] == published[:2]
    await worker.publish(published[2])
    await worker.publish(published[3])

    async with client.events(queue=name) as events:
        assert [await next_event(events) for _ in range(3)] == published[1:]  # the second was never acknowledged
    await channel.queue_delete(name)


async def test_a_durable_queue_that_is_there_is_taken_as_it_is(
    channel: AbstractChannel, worker: Worker, client: StreamClient
) -> None:
    name = f"{worker.namespace}.classic"
    await channel.declare_queue(name, durable=True, arguments={"x-max-length": 7})
    async with client.events(queue=name) as events:
        await worker.publish(an_event("cam-1", 1))
        assert (await next_event(events)).number == 1
    await channel.queue_delete(name)


async def test_an_event_that_cannot_be_read_goes_to_the_dead_letters_of_its_queue(
    channel: AbstractChannel, worker: Worker, client: StreamClient, caplog: pytest.LogCaptureFixture
) -> None:
    dead = await channel.declare_queue(exclusive=True)
    name = f"{worker.namespace}.strict"
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.name}
    await channel.declare_queue(name, durable=True, arguments=arguments)
    async with client.events(queue=name) as events:
        with caplog.at_level(logging.ERROR, logger="stream_client"):
            await worker.publish_bytes(b"not an event", "stream.created.cam-1")
            await worker.publish(an_event("cam-1", 1))
            assert (await next_event(events)).number == 1

    letter = await dead.get(timeout=WITHIN_S)
    assert letter is not None
    assert letter.body == b"not an event"
    await letter.ack()
    assert [record.message for record in caplog.records] == ["event.unreadable"]
    await channel.queue_delete(name)


@pytest.mark.parametrize("name", [None, "durable"])
async def test_a_subscription_goes_on_when_its_connection_is_cut(
    channel: AbstractChannel, cable: Cable, worker: Worker, name: str | None
) -> None:
    queue = name and f"{worker.namespace}.{name}"
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace).events(queue=queue) as events:
        await worker.publish(an_event("cam-1", 1))
        assert (await next_event(events)).number == 1

        cable.cut()
        following = asyncio.create_task(next_event(events))
        number = 1
        while not following.done():  # with a temporary queue, what comes before it is bound again is missed
            number += 1
            await worker.publish(an_event("cam-1", number))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number >= 1
    if queue:
        await channel.queue_delete(queue)


async def test_a_durable_queue_gives_again_what_was_in_hand_when_the_connection_was_cut(
    channel: AbstractChannel, cable: Cable, worker: Worker
) -> None:
    queue = f"{worker.namespace}.durable"
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace).events(queue=queue) as events:
        for number in (1, 2, 3):
            await worker.publish(an_event("cam-1", number))
        assert (await next_event(events)).number == 1
        cable.cut()

        seen = [(await next_event(events)).number]
        while seen[-3:] != [1, 2, 3]:  # what had been received before the cut may come first
            seen.append((await next_event(events)).number)
    await channel.queue_delete(queue)


async def test_a_subscription_tries_until_the_broker_is_back(
    cable: Cable, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace).events() as events:
        cable.carries_bytes_max = 0
        cable.cut()
        following = asyncio.create_task(next_event(events))
        while [record.message for record in caplog.records].count("subscription.retry") < 2:
            await asyncio.wait({following}, timeout=0.05)
        cable.carries_bytes_max = None
        while not following.done():
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number == 1


async def test_a_subscription_that_was_left_has_no_more_events(worker: Worker, client: StreamClient) -> None:
    async with client.events() as events:
        await worker.publish(an_event("cam-1", 1))
        assert [event.number async for event in first_of(events)] == [1]

    assert [event async for event in events] == []


async def test_a_subscription_goes_on_when_its_queue_is_deleted(
    channel: AbstractChannel, worker: Worker, client: StreamClient
) -> None:
    queue = f"{worker.namespace}.durable"
    async with client.events(queue=queue) as events:
        await channel.queue_delete(queue)
        following = asyncio.create_task(next_event(events))
        while not following.done():
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number == 1
    await channel.queue_delete(queue)


async def test_a_subscription_that_was_interrupted_while_it_resumed_resumes_again(
    cable: Cable, worker: Worker
) -> None:
    async with cable.laid() as url, StreamClient(url, namespace=worker.namespace).events() as events:
        cable.cut()
        interrupted = asyncio.create_task(anext(events))
        while not events._feed or not events._feed.link.lost.done():
            await asyncio.wait({interrupted}, timeout=0.01)
        interrupted.cancel()
        await asyncio.wait({interrupted})
        assert interrupted.cancelled()

        following = asyncio.create_task(next_event(events))
        while not following.done():
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number == 1
