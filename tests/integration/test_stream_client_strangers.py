"""What strangers put into a subscription costs nobody anything but itself. Real broker."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Literal

import pytest

from devtools.broker import PrivateBroker
from schemas import write_event
from stream_client import EventSubscriber
from tests.support import raw_amqp as raw
from tests.support.fake_worker import WITHIN_S, FakeWorker, an_event
from worker.amqp.topology import EventLog

STRANGE = {
    "nothing": b"",
    "no UTF-8": b'{"id": "\xff\xfe"}',
    "no JSON": b"\x00\x01",
    "half of an event": write_event(an_event("a", 2))[:-9],
    "no object": b"[1, 2]",
    "an event from before the first year": write_event(an_event("a", 2)).replace(
        b"2026-01-12T09:30:00.000000Z", b"0001-01-01T00:00:00+00:01"
    ),
    "no CloudEvent": b'{"hello": "world"}',
    "a CloudEvent of another program": b'{"specversion": "1.0", "id": "1", "source": "/x", "type": "x.y"}',
    "nested 100,000 times": b"[" * 100_000,
}


@pytest.fixture
async def publisher(broker: PrivateBroker) -> AsyncIterator[raw.RawPublisher]:
    async with raw.RawPublisher(broker.url) as publisher:
        yield publisher


async def numbers(events: EventSubscriber, count: int) -> list[int]:
    async with asyncio.timeout(WITHIN_S):
        return [(await anext(events)).number for _ in range(count)]


async def test_what_is_no_event_is_rejected_once_and_what_comes_behind_it_is_given(
    broker: PrivateBroker, worker: FakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    queue = f"{worker.namespace}.billing"
    subscriber = EventSubscriber(broker.url, namespace=worker.namespace, on_gap=None, queue=queue)
    async with subscriber as events:
        for number, body in enumerate(STRANGE.values(), start=1):
            await worker.publish_bytes(body, "stream.created.a")
            await worker.publish(an_event("a", number))
        assert await numbers(events, len(STRANGE)) == list(range(1, len(STRANGE) + 1))
    async with subscriber as events:
        assert await numbers(events, 1) == [
            len(STRANGE)
        ]  # the last one was not done with, and is the only one left

    assert [record.message for record in caplog.records] == ["event.unreadable"] * len(STRANGE)
    await worker.channel.queue_delete(queue)


@pytest.mark.parametrize("replay_from", [None, "first"])
async def test_properties_that_cannot_be_decoded_cost_no_event_and_no_connection(
    broker: PrivateBroker,
    worker: FakeWorker,
    publisher: raw.RawPublisher,
    caplog: pytest.LogCaptureFixture,
    replay_from: Literal["first"] | None,
) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    exchange, key = f"{worker.namespace}.events", b"stream.created.\xff" + b"\xfe" * 200
    if replay_from:
        log = EventLog(bytes_max=20_000_000, retention_s=3_600)
        queue = await worker.channel.declare_queue(f"{exchange}.log", durable=True, arguments=log.arguments)
    else:
        queue = await worker.channel.declare_queue(f"{worker.namespace}.billing", durable=True)
    await queue.bind(exchange, "#")
    for flags, properties in raw.POISONS.values():
        await publisher.publish(exchange, key, raw.header(flags, properties, body_size=6), b"poison")
    await publisher.publish(exchange, key, raw.header(0, body_size=6), b"poison")
    await worker.publish(an_event("a", 1))

    async with EventSubscriber(
        broker.url,
        namespace=worker.namespace,
        on_gap=None,
        queue=None if replay_from else queue.name,
        replay_from=replay_from,
    ) as events:
        assert await numbers(events, 1) == [1]
    assert {record.message for record in caplog.records} == {"event.unreadable"}
    assert len(caplog.records) == len(raw.POISONS) + 1
    await worker.channel.queue_delete(queue.name)


async def test_an_event_without_properties_is_an_event(
    broker: PrivateBroker, worker: FakeWorker, publisher: raw.RawPublisher
) -> None:
    body = write_event(an_event("a", 1))
    async with EventSubscriber(broker.url, namespace=worker.namespace, on_gap=None) as events:
        for flags, properties in ((0, b""), raw.POISONS["a name that is not UTF-8"]):
            header = raw.header(flags, properties, body_size=len(body))
            await publisher.publish(f"{worker.namespace}.events", b"stream.created.a", header, body)
        await worker.publish(an_event("a", 2))

        assert await numbers(events, 2) == [1, 2]  # the second is a repeat, by its id
