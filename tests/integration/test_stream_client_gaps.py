"""What a subscription says of events that it missed, and what it does with those that come again. Real broker."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devtools.broker import PrivateBroker
from schemas import Event, write_event
from stream_client import EventSubscriber, Gap
from tests.support.fake_worker import WITHIN_S, FakeWorker, an_event
from tests.support.proxy import Proxy


async def numbers(events: EventSubscriber, count: int) -> list[int]:
    async with asyncio.timeout(WITHIN_S):
        return [(await anext(events)).number for _ in range(count)]


async def publish(worker: FakeWorker, *events: Event) -> None:
    for event in events:
        await worker.publish(event)


@pytest.fixture
def told() -> list[Gap]:
    return []


@asynccontextmanager
async def lasting(broker: PrivateBroker, worker: FakeWorker, told: list[Gap]) -> AsyncIterator[EventSubscriber]:
    queue = f"{worker.namespace}.billing"
    yield EventSubscriber(broker.url, namespace=worker.namespace, queue=queue, on_gap=told.append)
    await worker.channel.queue_delete(queue)


async def test_what_comes_again_is_dropped_and_what_was_missed_is_told_before_what_follows(
    broker: PrivateBroker, worker: FakeWorker, told: list[Gap]
) -> None:
    a3, a4, a7, a5, b1 = [an_event(*of) for of in (("a", 3), ("a", 4), ("a", 7), ("a", 5), ("b", 1))]
    async with EventSubscriber(broker.url, namespace=worker.namespace, on_gap=told.append) as events:
        await publish(worker, a3, a4, a3, a4, a7, b1, a5, a7, an_event("a", 8))

        assert await numbers(events, 2) == [3, 4]
        assert told == []
        assert await numbers(events, 1) == [7]
        assert told == [Gap(device_id="a", first=5, last=6)]
        assert await numbers(events, 3) == [1, 5, 8]  # what comes late is still news
        assert len(told) == 1


async def test_a_gap_can_be_told_to_a_coroutine(broker: PrivateBroker, worker: FakeWorker) -> None:
    told: asyncio.Queue[Gap] = asyncio.Queue()
    async with EventSubscriber(broker.url, namespace=worker.namespace, on_gap=told.put) as events:
        await publish(worker, an_event("a", 1), an_event("a", 3))
        await numbers(events, 2)

    assert told.get_nowait() == Gap(device_id="a", first=2, last=2)


async def test_who_breaks_when_told_of_a_gap_gets_the_event_when_going_on(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    told: list[Gap] = []

    def break_the_first_time(gap: Gap) -> None:
        told.append(gap)
        if len(told) == 1:
            raise LookupError

    async with EventSubscriber(broker.url, namespace=worker.namespace, on_gap=break_the_first_time) as events:
        await publish(worker, an_event("a", 1), an_event("a", 3), an_event("a", 4))
        await numbers(events, 1)
        with pytest.raises(LookupError):
            await anext(events)

        assert await numbers(events, 2) == [3, 4]
    assert told == [Gap(device_id="a", first=2, last=2)] * 2


async def test_what_was_not_finished_is_given_again_to_the_same_subscriber_too(
    broker: PrivateBroker, worker: FakeWorker, told: list[Gap]
) -> None:
    async with lasting(broker, worker, told) as subscriber:
        async with subscriber as events:
            await publish(worker, an_event("a", 1), an_event("a", 2), an_event("a", 3))
            assert await numbers(events, 2) == [1, 2]

        async with subscriber as events:
            assert await numbers(events, 2) == [2, 3]
    assert told == []


async def test_what_was_missed_between_two_connections_is_a_gap(
    proxy: Proxy, worker: FakeWorker, told: list[Gap]
) -> None:
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=told.append) as events:
        await publish(worker, an_event("a", 1))
        await numbers(events, 1)
        refusing = proxy.refuse()
        proxy.cut()
        await publish(worker, an_event("a", 2))
        refusing.remove()
        following, number = asyncio.create_task(numbers(events, 1)), 2
        while not following.done():
            number += 1
            await publish(worker, an_event("a", number))
            await asyncio.wait({following}, timeout=0.1)

        (seen,) = await following
    assert told == [Gap(device_id="a", first=2, last=seen - 1)]


async def test_a_queue_that_was_deleted_is_made_again_and_what_it_had_is_a_gap(
    broker: PrivateBroker, worker: FakeWorker, told: list[Gap], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    async with lasting(broker, worker, told) as subscriber, subscriber as events:
        await publish(worker, an_event("a", 1))
        assert await numbers(events, 1) == [1]
        await worker.channel.queue_delete(f"{worker.namespace}.billing")
        following, number = asyncio.create_task(numbers(events, 1)), 1
        while not following.done():
            number += 1
            await publish(worker, an_event("a", number))
            await asyncio.wait({following}, timeout=0.1)

        (seen,) = await following
    assert told == ([Gap(device_id="a", first=2, last=seen - 1)] if seen > 2 else [])
    ours = [record.message for record in caplog.records if record.name.startswith("stream_client")]
    assert ours == ["subscription.lost", "subscription.resumed"]


def later_event(device_id: str, sequence: int) -> bytes:
    """An event of the next release: of another type, and about a stream in a state that this one does not know."""
    now = write_event(an_event(device_id, sequence))
    return now.replace(b'"stream.created"', b'"stream.paused"').replace(b'"active"', b'"paused"')


async def test_an_event_of_a_type_that_came_later_is_passed_over_in_silence(
    broker: PrivateBroker, worker: FakeWorker, told: list[Gap], caplog: pytest.LogCaptureFixture
) -> None:
    async with lasting(broker, worker, told) as subscriber:
        async with subscriber as events:
            await publish(worker, an_event("a", 1))
            await worker.publish_bytes(later_event("a", 2), "stream.paused.a")
            await publish(worker, an_event("a", 3))
            assert await numbers(events, 2) == [1, 3]
        async with subscriber as events:  # it was acknowledged, the last one was not
            assert await numbers(events, 1) == [3]

    assert told == []
    assert caplog.records == []


async def test_what_was_missed_before_an_event_of_a_later_type_is_told(
    broker: PrivateBroker, worker: FakeWorker, told: list[Gap]
) -> None:
    async with EventSubscriber(broker.url, namespace=worker.namespace, on_gap=told.append) as events:
        await publish(worker, an_event("a", 1))
        await worker.publish_bytes(later_event("a", 3), "stream.paused.a")
        await publish(worker, an_event("a", 4))

        assert await numbers(events, 2) == [1, 4]
    assert told == [Gap(device_id="a", first=2, last=2)]


async def test_an_event_that_cannot_be_read_is_a_gap(
    broker: PrivateBroker, worker: FakeWorker, told: list[Gap]
) -> None:
    async with EventSubscriber(broker.url, namespace=worker.namespace, on_gap=told.append) as events:
        await publish(worker, an_event("a", 1))
        await worker.publish_bytes(b'{"type": "stream.created", "sequence": "2"}', "stream.created.a")
        await publish(worker, an_event("a", 3))

        assert await numbers(events, 2) == [1, 3]
    assert told == [Gap(device_id="a", first=2, last=2)]
