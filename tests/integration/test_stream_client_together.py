"""What the requests of one client do to one another, and the tries of one request: they share a connection."""

import asyncio
import re

import pytest
from aio_pika.abc import AbstractIncomingMessage
from pamqp.common import FieldTable

from devtools.broker import PrivateBroker
from schemas import Problem, ProblemCode, StreamReply
from stream_client import (
    StreamClientError,
    StreamMisconfigured,
    StreamsClient,
    StreamTimeout,
    StreamTooManyRequests,
    StreamUnavailable,
)
from stream_client.line import REFUSALS_MAX
from tests.support.broker_users import User, make
from tests.support.fake_worker import WITHIN_S, FakeWorker, a_reply, silent
from tests.support.proxy import Proxy

FULL: FieldTable = {"x-max-length": 0, "x-overflow": "reject-publish"}
AT_ONCE = 100


@pytest.fixture
async def gateway(broker: PrivateBroker, worker: FakeWorker) -> User:
    """Somebody who may act for the devices of one site, and for no other."""
    exchange = f"{worker.namespace}.commands"
    user = User(
        name=f"{worker.namespace}-gateway",
        configure="^amq\\.gen-.*$",
        write=f"^{re.escape(exchange)}$",
        read="^amq\\.gen-.*$",
        topics=((exchange, "^site\\."),),
    )
    await make(broker, [user])
    return user


async def test_a_command_that_may_not_be_published_costs_no_other_one_its_answer(
    broker: PrivateBroker, worker: FakeWorker, gateway: User
) -> None:
    """The broker closes the channel that they share, and does not say for which of them."""
    devices = [f"site.{number}" for number in range(AT_ONCE)]
    async with StreamsClient(
        gateway.url(broker), namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=WITHIN_S
    ) as client:
        asking = [asyncio.create_task(client.create(device)) for device in (*devices, "elsewhere", "site.last")]
        ends = await asyncio.gather(*asking, return_exceptions=True)

    refused = ends.pop(AT_ONCE)
    assert isinstance(refused, StreamClientError)
    assert "ACCESS_REFUSED" in str(refused)
    answers = [end.stream.device_id for end in ends if isinstance(end, StreamReply)]
    assert answers == [*devices, "site.last"]


async def test_a_command_that_may_not_be_published_is_told_so_at_once_where_it_is_alone(
    broker: PrivateBroker, worker: FakeWorker, gateway: User
) -> None:
    async with StreamsClient(gateway.url(broker), namespace=worker.namespace) as client:
        await client.create("site.1")
        with pytest.raises(StreamMisconfigured, match="ACCESS_REFUSED"):
            await client.create("elsewhere")


async def test_what_nobody_waits_for_any_more_and_the_broker_has_is_none_that_it_could_have_meant(
    broker: PrivateBroker, worker: FakeWorker, gateway: User
) -> None:
    async with (
        Proxy(gateway.url(broker)) as proxy,
        StreamsClient(proxy.url, namespace=worker.namespace) as client,
    ):
        await client.create("site.1")
        frozen = proxy.freeze("to_client")
        request = asyncio.create_task(client.create("site.2"))
        await frozen.acted.wait()  # by its confirm
        request.cancel()
        await asyncio.wait({request})
        proxy.thaw()
        await client.create("site.3")

        with pytest.raises(StreamMisconfigured, match="ACCESS_REFUSED"):
            await client.create("elsewhere")


async def test_what_may_have_been_carried_out_is_never_told_as_not_handed_over(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    worker.answer = silent
    async with StreamsClient(broker.url, namespace=worker.namespace, attempt_s=0.5) as client:
        request = asyncio.create_task(client.create("cam-1"))
        await worker.received.get()
        await worker.channel.exchange_delete(f"{worker.namespace}.commands")

        with pytest.raises(StreamTimeout, match=r"no reply came in time; .* the next try: .* topology") as told:
            await request
    assert told.value.message_id


async def test_a_rate_that_refuses_a_repeat_hides_no_try_that_may_have_been_carried_out(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    early = Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=2 * WITHIN_S)

    async def silent_then_early(_command: AbstractIncomingMessage, number: int) -> Problem | None:
        return None if number == 1 else early

    worker.answer = silent_then_early
    async with StreamsClient(broker.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=1.0) as client:
        with pytest.raises(StreamTimeout, match=r"no reply came in time; .* the next try: Too many req") as told:
            await client.create("cam-1")

    assert told.value.message_id == worker.received.get_nowait().message_id
    assert isinstance(told.value.__cause__, StreamTooManyRequests)


async def test_a_try_that_may_have_been_carried_out_is_not_forgotten_while_it_waits_as_it_is_told(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    early = Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=0.1)

    async def silent_then_early_then_gone(_command: AbstractIncomingMessage, number: int) -> Problem | None:
        if number == 1:
            return None
        await worker.channel.exchange_delete(f"{worker.namespace}.commands")
        return early

    worker.answer = silent_then_early_then_gone
    async with StreamsClient(broker.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=1.0) as client:
        with pytest.raises(StreamTimeout, match=r"no reply came in time; .* the next try: .* topology"):
            await client.create("cam-1")


async def test_the_reply_to_an_earlier_try_counts_whatever_becomes_of_the_last_one(
    proxy: Proxy, worker: FakeWorker
) -> None:
    worker.answer = silent
    async with StreamsClient(proxy.url, namespace=worker.namespace, attempt_s=1.0, attempts_max=2) as client:
        request = asyncio.create_task(client.create("cam-1"))
        first = await worker.received.get()
        frozen = proxy.freeze("to_server")
        await frozen.acted.wait()  # by the second try, which stays without its confirm
        await worker.send(first, a_reply("cam-1"))

        assert (await request).stream.device_id == "cam-1"
    assert worker.received.empty()


async def test_a_queue_that_keeps_refusing_costs_nobody_the_reply_that_he_waits_for(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    """Then another connection is tried; but a reply that is due comes over this one only."""
    worker.answer = silent
    async with StreamsClient(
        broker.url, namespace=worker.namespace, attempt_s=WITHIN_S, attempts_max=REFUSALS_MAX
    ) as client:
        waiting = asyncio.create_task(client.create("cam-1"))
        accepted = await worker.received.get()
        queue = await worker.channel.declare_queue(exclusive=True, arguments=FULL)
        await queue.bind(f"{worker.namespace}.commands", "#")
        for device in ("cam-2", "cam-3"):
            with pytest.raises(StreamUnavailable, match="its queue is full"):
                await client.create(device)
        await worker.send(accepted, a_reply("cam-1"))

        assert (await waiting).stream.device_id == "cam-1"
    devices = [worker.received.get_nowait().routing_key for _ in range(worker.received.qsize())]
    assert "cam-1" not in devices


async def test_a_broker_that_is_short_of_memory_is_waited_for_on_the_connection_that_there_is(
    broker: PrivateBroker, proxy: Proxy, worker: FakeWorker
) -> None:
    """It does not notice that a connection is gone which it does not read: each new one would be one more."""
    async with StreamsClient(proxy.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=1.0) as client:
        await client.create("cam-1")
        lines = set(proxy.names)
        await asyncio.to_thread(broker.run_out_of_memory)
        try:
            with pytest.raises(StreamTimeout, match="short of memory") as told:
                await client.create("cam-2", timeout_s=5)
        finally:
            await asyncio.to_thread(broker.have_memory_again)

        assert (await client.create("cam-2", message_id=told.value.message_id)).stream.device_id == "cam-2"
        assert set(proxy.names) <= lines
