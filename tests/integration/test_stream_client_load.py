"""Many requests at once over one connection, and requests that come too early."""

import asyncio
import logging
import time

import pytest
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from schemas import Problem, ProblemCode, StreamReply
from stream_client import StreamInternal, StreamsClient, StreamTimeout, StreamTooManyRequests, StreamUnavailable
from stream_client.pauses import LONGEST_S
from tests.support.fake_worker import WITHIN_S, Answer, FakeWorker, created, silent
from tests.support.proxy import Proxy

AT_ONCE = 500


async def test_hundreds_of_requests_are_under_way_on_one_connection(proxy: Proxy, worker: FakeWorker) -> None:
    together: list[AbstractIncomingMessage] = []

    async def when_all_are_here(command: AbstractIncomingMessage, number: int) -> None:
        together.append(command)
        if number == AT_ONCE:
            for one in together:
                await worker.send(one, await created(one, number))

    worker.answer = when_all_are_here
    devices = [f"cam-{number}" for number in range(AT_ONCE)]
    async with StreamsClient(proxy.url, namespace=worker.namespace, timeout_s=60, attempt_s=60) as client:
        replies = await asyncio.gather(*(client.create(device) for device in devices))

        assert set(proxy.names) == {0}
    assert [reply.stream.device_id for reply in replies] == devices
    assert worker.received.qsize() == AT_ONCE


def refusing(times: int, problem: Problem) -> Answer:
    async def answer(command: AbstractIncomingMessage, number: int) -> StreamReply | Problem:
        return problem if number <= times else await created(command, number)

    return answer


async def test_a_command_that_came_too_early_is_sent_again_when_the_worker_has_said(
    worker: FakeWorker, client: StreamsClient
) -> None:
    early = Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=0.4)
    worker.answer = refusing(2, early)
    began_s = time.monotonic()

    reply = await client.create("cam-1")

    assert reply.stream.device_id == "cam-1"
    assert 0.8 <= time.monotonic() - began_s < WITHIN_S
    sent = [worker.received.get_nowait() for _ in range(3)]
    assert len({command.message_id for command in sent}) == 1
    assert len({command.correlation_id for command in sent}) == 3
    assert worker.received.empty()


async def test_who_has_no_time_to_wait_is_told_at_once(worker: FakeWorker, client: StreamsClient) -> None:
    early = Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=600.0)
    worker.answer = refusing(1, early)

    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(StreamTooManyRequests) as raised:
            await client.create("cam-1", timeout_s=300)

    assert raised.value.problem.retry_after_s == 600.0
    assert worker.received.qsize() == 1


async def test_a_command_that_failed_on_its_own_is_not_sent_again_where_there_is_no_time(
    worker: FakeWorker, client: StreamsClient
) -> None:
    worker.answer = refusing(1, Problem.make(ProblemCode.INTERNAL, "It failed."))

    with pytest.raises(StreamInternal):
        await client.create("cam-1", timeout_s=LONGEST_S)

    assert worker.received.qsize() == 1


async def test_who_has_no_try_left_is_told_what_could_succeed_later(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    worker.answer = refusing(9, Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=0.1))

    async with StreamsClient(broker.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempts_max=2) as client:
        with pytest.raises(StreamTooManyRequests):
            await client.create("cam-1")

    assert worker.received.qsize() == 2


async def test_a_problem_that_came_later_is_taken_for_what_it_says(
    worker: FakeWorker, client: StreamsClient
) -> None:
    busy = Problem.make(ProblemCode.INTERNAL, "It is busy.", retry_after_s=0.1)
    worker.answer = refusing(1, busy.model_copy(update={"code": "busy"}))

    assert (await client.create("cam-1")).stream.device_id == "cam-1"


async def test_one_request_may_have_less_time_than_its_client_and_can_be_repeated(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    async with StreamsClient(broker.url, namespace=worker.namespace, timeout_s=600, attempt_s=600) as client:
        await client.create("cam-1")  # it connects, in no request's time
        worker.received.get_nowait()
        worker.answer = silent
        with pytest.raises(StreamTimeout) as raised:
            await client.stop(code="7K3M9QXA", timeout_s=0.5)
        worker.answer = created

        await client.stop(code="7K3M9QXA", message_id=raised.value.message_id)

    first, second = worker.received.get_nowait(), worker.received.get_nowait()
    assert first.message_id == second.message_id == raised.value.message_id


async def test_who_waits_as_he_is_told_ends_when_the_client_is_closed(
    worker: FakeWorker, client: StreamsClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    worker.answer = refusing(1, Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=300.0))
    request = asyncio.create_task(client.create("cam-1", timeout_s=600))
    while "command.too_early" not in [record.message for record in caplog.records]:
        await asyncio.wait({request}, timeout=0.01)
    await client.close()

    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(StreamUnavailable, match="closed"):
            await request
