"""Commands of the client, against a real broker and a worker of a few lines."""

import asyncio
import logging
import socket
from datetime import UTC, datetime
from functools import partial

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from pamqp.common import FieldTable
from yarl import URL

from devtools.broker import PrivateBroker
from schemas import Problem, ProblemCode, StreamReply
from stream_client import (
    EventSubscriber,
    StreamMisconfigured,
    StreamProblem,
    StreamsClient,
    StreamTimeout,
    StreamUnavailable,
    StreamUnreadable,
)
from stream_client.line import REFUSALS_MAX
from tests.support.fake_worker import AT, WITHIN_S, FakeWorker, a_reply, created, silent
from tests.support.proxy import Proxy
from tests.support.wire import eventually

patient = partial(StreamsClient, timeout_s=WITHIN_S, attempt_s=WITHIN_S)
insistent = partial(StreamsClient, timeout_s=WITHIN_S, attempt_s=0.5)


async def test_each_reply_reaches_the_one_who_asked(worker: FakeWorker, client: StreamsClient) -> None:
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
    worker: FakeWorker, client: StreamsClient
) -> None:
    await client.create("cam-1")
    await client.stop(code="7K3M-9QXA")
    first, second = worker.received.get_nowait(), worker.received.get_nowait()

    assert (first.type, first.body) == ("stream.create", b'{"device_id":"cam-1"}')
    assert (second.type, second.body) == ("stream.stop", b'{"code":"7K3M-9QXA"}')
    assert (first.routing_key, second.routing_key) == ("cam-1", "guest")
    assert (first.content_type, first.delivery_mode) == ("application/json", 2)
    assert (first.reply_to or "").startswith("amq.rabbitmq.reply-to.")
    assert first.message_id != second.message_id
    assert first.correlation_id != second.correlation_id


async def test_a_command_says_when_it_was_made_unless_the_clock_may_be_wrong(
    broker: PrivateBroker, worker: FakeWorker, client: StreamsClient
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)  # the wire has whole seconds
    await client.create("cam-1")
    await client.create("cam-2", made_at=AT)
    async with patient(broker.url, namespace=worker.namespace, timestamps=False) as clockless:
        await clockless.create("cam-3")

    now, then, never = (worker.received.get_nowait().timestamp for _ in range(3))
    assert now
    assert before <= now <= datetime.now(UTC)
    assert (then, never) == (AT, None)


async def test_a_problem_is_raised_and_a_request_returns_it(worker: FakeWorker, client: StreamsClient) -> None:
    problem = Problem.make(ProblemCode.NOT_FOUND, "The device never had a stream.")

    async def not_found(_command: AbstractIncomingMessage, _number: int) -> Problem:
        return problem

    worker.answer = not_found
    with pytest.raises(StreamProblem, match="Stream not found: The device never had a stream") as raised:
        await client.get(device_id="cam-1")

    assert raised.value.problem == problem
    assert await client.request("stream.get", {"device_id": "cam-1"}) == problem


async def test_a_silent_worker_is_asked_again_with_the_same_message_id(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    async with StreamsClient(
        broker.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=1.0, attempts_max=3
    ) as client:
        await client.create("cam-0")  # it connects: a try whose time that takes asks nobody
        worker.answer = silent
        with pytest.raises(StreamTimeout, match="is a worker running"):
            await client.request("stream.create", {"device_id": "cam-1"}, message_id="the-one")

    commands = [worker.received.get_nowait() for _ in range(worker.received.qsize())]
    asked = [command for command in commands if command.routing_key == "cam-1"]
    assert [command.message_id for command in asked] == ["the-one"] * 3
    assert len({command.timestamp for command in asked}) == 1


async def test_a_reply_to_an_earlier_try_counts_and_the_second_is_ignored(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    early: list[AbstractIncomingMessage] = []

    async def late(command: AbstractIncomingMessage, number: int) -> None:
        early.append(command)
        if number == 2:
            await worker.send(early[0], a_reply("first"))
            await worker.send(early[1], a_reply("second"))

    worker.answer = late
    async with insistent(broker.url, namespace=worker.namespace) as client:
        assert (await client.create("cam-1")).stream.device_id == "first"
        worker.answer = created
        assert (await client.create("cam-2")).stream.device_id == "cam-2"


async def test_a_command_keeps_its_message_id_when_the_connection_is_cut(proxy: Proxy, worker: FakeWorker) -> None:
    async def cut_the_first(command: AbstractIncomingMessage, number: int) -> StreamReply | None:
        if number == 1:
            proxy.cut()
            return None
        return await created(command, number)

    worker.answer = cut_the_first
    async with patient(proxy.url, namespace=worker.namespace) as client:
        reply = await client.create("cam-1")

    first, second = worker.received.get_nowait(), worker.received.get_nowait()
    assert reply.stream.device_id == "cam-1"
    assert first.message_id == second.message_id


async def test_a_connection_that_falls_silent_is_left_for_a_new_one(proxy: Proxy, worker: FakeWorker) -> None:
    async with insistent(proxy.url, namespace=worker.namespace) as client:
        await client.create("cam-1")
        proxy.present().freeze()

        assert (await client.create("cam-2")).stream.device_id == "cam-2"


async def test_a_command_that_was_cut_off_before_its_confirm_is_sent_again(
    proxy: Proxy, worker: FakeWorker
) -> None:
    async with patient(proxy.url, namespace=worker.namespace) as client:
        await client.create("cam-1")
        silent_line = proxy.present().freeze()
        request = asyncio.create_task(client.create("cam-2"))
        await silent_line.acted.wait()
        proxy.cut()

        assert (await request).stream.device_id == "cam-2"


@pytest.mark.parametrize("carries_bytes", range(0, 600, 20))
async def test_a_connection_that_breaks_while_it_is_opened_is_unavailable(
    proxy: Proxy, worker: FakeWorker, carries_bytes: int
) -> None:
    proxy.cut_after(carries_bytes)
    async with StreamsClient(proxy.url, namespace=worker.namespace, attempts_max=1) as client:
        with pytest.raises((StreamUnavailable, StreamTimeout)):  # it depends on how far it got
            await client.create("cam-1")
    with pytest.raises(StreamUnavailable):
        await EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None).__aenter__()


async def test_the_heartbeat_of_the_url_is_taken(broker: PrivateBroker, worker: FakeWorker) -> None:
    async with StreamsClient(f"{broker.url}?heartbeat=5", namespace=worker.namespace) as client:
        assert (await client.create("cam-1")).stream.device_id == "cam-1"


async def test_a_cancelled_request_is_cancelled(worker: FakeWorker, client: StreamsClient) -> None:
    worker.answer = silent
    request = asyncio.create_task(client.create("cam-1"))
    await worker.received.get()

    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request
    worker.answer = created
    assert (await client.create("cam-2")).stream.device_id == "cam-2"


async def test_a_missing_exchange_says_what_to_do(broker: PrivateBroker) -> None:
    async with StreamsClient(broker.url, namespace="nobody") as client:
        with pytest.raises(StreamMisconfigured, match="stream-worker topology apply"):
            await client.create("cam-1")
    with pytest.raises(StreamMisconfigured, match="stream-worker topology apply"):
        await EventSubscriber(broker.url, namespace="nobody", on_gap=None).__aenter__()


async def test_a_virtual_host_that_is_not_there_is_told_at_once(broker: PrivateBroker) -> None:
    url = str(URL(broker.url).with_path("/nowhere"))
    async with StreamsClient(url) as client:
        with pytest.raises(StreamMisconfigured, match=r"127\.0\.0\.1:\d+: .*is there such a virtual host"):
            await client.create("cam-1")
    with pytest.raises(StreamMisconfigured, match="is there such a virtual host"):
        await EventSubscriber(url, on_gap=None).__aenter__()


async def test_an_exchange_without_a_queue_says_what_to_do(worker: FakeWorker, client: StreamsClient) -> None:
    queue = await worker.channel.get_queue(f"{worker.namespace}.commands")
    await queue.unbind(f"{worker.namespace}.commands", "#")

    with pytest.raises(StreamMisconfigured, match="no queue is bound"):
        await client.create("cam-1")


async def test_a_full_queue_makes_it_unavailable(broker: PrivateBroker, worker: FakeWorker) -> None:
    worker.answer = silent
    full: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
    queue = await worker.channel.declare_queue(exclusive=True, arguments=full)
    await queue.bind(f"{worker.namespace}.commands", "#")

    async with patient(broker.url, namespace=worker.namespace, attempts_max=2) as client:
        with pytest.raises(StreamUnavailable, match="its queue is full"):
            await client.create("cam-1")


async def test_a_queue_that_keeps_refusing_is_tried_over_another_connection(
    worker: FakeWorker, proxy: Proxy
) -> None:
    """A channel can be refused for ever by a queue that is well: its leader was dead at the first try."""
    worker.answer = silent
    full: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
    queue = await worker.channel.declare_queue(exclusive=True, arguments=full)
    await queue.bind(f"{worker.namespace}.commands", "#")

    async with patient(proxy.url, namespace=worker.namespace, attempts_max=REFUSALS_MAX) as client:
        with pytest.raises(StreamUnavailable, match="its queue is full"):
            await client.create("cam-1")
        assert set(proxy.names) <= {0}

        await queue.delete()
        worker.answer = created
        assert (await client.create("cam-1")).stream.device_id == "cam-1"

        async def is_left() -> bool:
            return set(proxy.names) == {1}

        await eventually(is_left)  # nobody waits for the goodbye


async def test_a_broker_that_is_away_makes_it_unavailable() -> None:
    async with StreamsClient("amqp://guest:s3cret@127.0.0.1:1/", attempts_max=2) as client:
        with pytest.raises(StreamUnavailable, match=r"127\.0\.0\.1:1 cannot be reached") as raised:
            await client.create("cam-1")

    assert "s3cret" not in str(raised.value)


async def test_when_time_runs_out_it_is_told_what_was_wrong_and_where() -> None:
    async with StreamsClient("amqp://127.0.0.1:1/", timeout_s=1.0, attempts_max=1000) as client:
        with pytest.raises(StreamUnavailable, match=r"127\.0\.0\.1:1 cannot be reached: .*Connect call failed"):
            await client.create("cam-1")


async def test_where_a_try_is_cut_short_it_is_told_what_was_wrong_before(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    refusing = proxy.refuse()
    async with StreamsClient(proxy.url, timeout_s=1.0, attempt_s=WITHIN_S) as client:
        request = asyncio.create_task(client.create("cam-1"))
        while "command.attempt_failed" not in [record.message for record in caplog.records]:
            await asyncio.wait({request}, timeout=0.01)
        proxy.freeze()
        refusing.remove()

        with pytest.raises(StreamUnavailable) as raised:
            await request

    assert "no answer" not in str(raised.value)


async def test_a_broker_that_says_nothing_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        async with StreamsClient(f"amqp://127.0.0.1:{port}/", timeout_s=0.3) as client:
            with pytest.raises(StreamUnavailable, match=rf"127\.0\.0\.1:{port} cannot be reached: no answer"):
                await client.create("cam-1")


async def test_a_wrong_password_is_told_at_once(broker: PrivateBroker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    async with StreamsClient(str(URL(broker.url).with_password("s3cret"))) as client:
        with pytest.raises(StreamMisconfigured, match="refused") as raised:
            await client.create("cam-1")

    assert "s3cret" not in str(raised.value)
    assert "command.attempt_failed" not in [record.message for record in caplog.records]


async def test_a_reply_that_cannot_be_read_is_told(worker: FakeWorker, client: StreamsClient) -> None:
    async def nonsense(_command: AbstractIncomingMessage, _number: int) -> bytes:
        return b'{"outcome": "exploded"}'

    worker.answer = nonsense
    with pytest.raises(StreamUnreadable, match="does not fit its schema"):
        await client.create("cam-1")


async def test_a_reply_of_another_type_is_told(worker: FakeWorker, client: StreamsClient) -> None:
    async def greeting(command: AbstractIncomingMessage, _number: int) -> None:
        reply = aio_pika.Message(b"{}", type="hello", correlation_id=command.correlation_id)
        await worker.channel.default_exchange.publish(reply, command.reply_to or "", mandatory=False)

    worker.answer = greeting
    with pytest.raises(StreamUnreadable, match="neither"):
        await client.create("cam-1")


async def test_a_closed_client_says_so(worker: FakeWorker, client: StreamsClient) -> None:
    worker.answer = silent
    request = asyncio.create_task(client.create("cam-1"))
    await worker.received.get()
    await client.close()

    with pytest.raises(StreamTimeout, match="lost"):
        await request
    with pytest.raises(StreamUnavailable, match="closed"):
        await client.create("cam-1")
