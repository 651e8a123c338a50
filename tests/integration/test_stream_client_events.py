"""Subscriptions of the client, against a real broker."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial

import pytest
from pamqp.common import FieldTable

from devtools.broker import PrivateBroker
from schemas import Event
from stream_client import EventSubscriber
from tests.support.fake_worker import WITHIN_S, FakeWorker, an_event
from tests.support.proxy import Proxy
from tests.support.wire import eventually

Subscribing = Callable[..., EventSubscriber]


@pytest.fixture
def subscribe(broker: PrivateBroker, worker: FakeWorker) -> Subscribing:
    return partial(EventSubscriber, broker.url, namespace=worker.namespace, on_gap=None)


async def first_of(events: EventSubscriber) -> AsyncIterator[Event]:
    yield await next_event(events)


async def next_event(events: EventSubscriber) -> Event:
    async with asyncio.timeout(WITHIN_S):
        return await anext(events)


async def test_a_subscription_gets_what_it_asked_for(worker: FakeWorker, subscribe: Subscribing) -> None:
    async with (
        subscribe() as everything,
        subscribe(types=["stream.stopped"]) as stopped,
        subscribe(devices=["site.7"]) as device,
        subscribe(devices=["site.7"], types=["stream.created"]) as both,
        subscribe(devices=["7", "site"]) as several,
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
        assert [await next_event(several) for _ in range(2)] == [published[2], published[3]]


async def test_a_durable_queue_keeps_what_was_not_seen(worker: FakeWorker, subscribe: Subscribing) -> None:
    published = [an_event("cam-1", number) for number in range(1, 5)]
    name = f"{worker.namespace}.billing"
    async with subscribe(queue=name) as events:
        await worker.publish(published[0])
        await worker.publish(published[1])
        assert [await next_event(events), await next_event(events)] == published[:2]
    await worker.publish(published[2])
    await worker.publish(published[3])

    async with subscribe(queue=name) as events:
        assert [await next_event(events) for _ in range(3)] == published[1:]  # the second was never acknowledged
    await worker.channel.queue_delete(name)


async def test_a_durable_queue_that_is_there_is_taken_as_it_is(worker: FakeWorker, subscribe: Subscribing) -> None:
    name = f"{worker.namespace}.classic"
    await worker.channel.declare_queue(name, durable=True, arguments={"x-max-length": 7})
    async with subscribe(queue=name) as events:
        await worker.publish(an_event("cam-1", 1))
        assert (await next_event(events)).number == 1
    await worker.channel.queue_delete(name)


async def test_an_event_that_cannot_be_read_goes_to_the_dead_letters_of_its_queue(
    worker: FakeWorker, subscribe: Subscribing, caplog: pytest.LogCaptureFixture
) -> None:
    dead = await worker.channel.declare_queue(exclusive=True)
    name = f"{worker.namespace}.strict"
    arguments: FieldTable = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.name}
    await worker.channel.declare_queue(name, durable=True, arguments=arguments)
    async with subscribe(queue=name) as events:
        with caplog.at_level(logging.ERROR, logger="stream_client"):
            await worker.publish_bytes(b"not an event", "stream.created.cam-1")
            await worker.publish(an_event("cam-1", 1))
            assert (await next_event(events)).number == 1

    letter = await eventually(lambda: dead.get(fail=False))  # its queue is not the one that was read
    assert letter is not None
    assert letter.body == b"not an event"
    await letter.ack()
    assert [record.message for record in caplog.records] == ["event.unreadable"]
    await worker.channel.queue_delete(name)


@pytest.mark.parametrize("name", [None, "durable"])
async def test_a_subscription_goes_on_when_its_connection_is_cut(
    proxy: Proxy, worker: FakeWorker, name: str | None
) -> None:
    queue = name and f"{worker.namespace}.{name}"
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None, queue=queue) as events:
        await worker.publish(an_event("cam-1", 1))
        assert (await next_event(events)).number == 1

        proxy.cut()
        following = asyncio.create_task(next_event(events))
        number = 1
        while not following.done():  # with a temporary queue, what comes before it is bound again is missed
            number += 1
            await worker.publish(an_event("cam-1", number))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number >= 1
    if queue:
        await worker.channel.queue_delete(queue)


async def test_a_durable_queue_gives_again_what_was_not_finished_when_the_connection_was_cut(
    proxy: Proxy, worker: FakeWorker
) -> None:
    queue = f"{worker.namespace}.durable"
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None, queue=queue) as events:
        for number in (1, 2, 3):
            await worker.publish(an_event("cam-1", number))
        assert (await next_event(events)).number == 1
        proxy.cut()

        # The broker gives the first again too, for it was not acknowledged; here it is known to be done with.
        assert [(await next_event(events)).number for _ in range(2)] == [2, 3]
        await worker.publish(an_event("cam-1", 4))
        assert (await next_event(events)).number == 4
    await worker.channel.queue_delete(queue)


async def test_a_subscription_tries_until_the_broker_is_back(
    proxy: Proxy, worker: FakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None) as events:
        refusing = proxy.refuse()
        proxy.cut()
        following = asyncio.create_task(next_event(events))
        while [record.message for record in caplog.records].count("subscription.retry") < 2:
            await asyncio.wait({following}, timeout=0.05)
        refusing.remove()
        while not following.done():
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number == 1


async def test_a_subscription_that_was_left_has_no_more_events(worker: FakeWorker, subscribe: Subscribing) -> None:
    async with subscribe() as events:
        await worker.publish(an_event("cam-1", 1))
        assert [event.number async for event in first_of(events)] == [1]

    assert [event async for event in events] == []


async def test_a_subscription_goes_on_when_its_queue_is_deleted(
    worker: FakeWorker, subscribe: Subscribing
) -> None:
    queue = f"{worker.namespace}.durable"
    async with subscribe(queue=queue) as events:
        await worker.channel.queue_delete(queue)
        following = asyncio.create_task(next_event(events))
        while not following.done():
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number == 1
    await worker.channel.queue_delete(queue)


async def test_a_subscription_that_was_interrupted_while_it_resumed_resumes_again(
    proxy: Proxy, worker: FakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None) as events:
        refusing = proxy.refuse()
        proxy.cut()
        interrupted = asyncio.create_task(anext(events))
        while "subscription.retry" not in [record.message for record in caplog.records]:
            await asyncio.wait({interrupted}, timeout=0.05)
        interrupted.cancel()
        await asyncio.wait({interrupted})
        assert interrupted.cancelled()
        refusing.remove()

        following = asyncio.create_task(next_event(events))
        while not following.done():
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({following}, timeout=0.1)

        assert (await following).number == 1


async def test_a_subscription_resumes_for_one_who_never_waits_long(proxy: Proxy, worker: FakeWorker) -> None:
    queue = f"{worker.namespace}.durable"
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None, queue=queue) as events:
        proxy.delay(0.1)  # so that connecting takes a second
        proxy.cut()
        await worker.publish(an_event("cam-1", 1))
        looks, event = 0, None
        async with asyncio.timeout(WITHIN_S):
            while event is None:
                looks += 1
                with suppress(TimeoutError):
                    event = await asyncio.wait_for(anext(events), 0.2)

        assert event.number == 1
        assert looks > 1
    await worker.channel.queue_delete(queue)


async def test_a_subscription_that_is_left_while_it_resumes_has_ended(
    proxy: Proxy, worker: FakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None) as events:
        refusing = proxy.refuse()
        proxy.cut()
        waiting = asyncio.ensure_future(anext(events))
        while "subscription.retry" not in [record.message for record in caplog.records]:
            await asyncio.wait({waiting}, timeout=0.05)
    refusing.remove()

    with pytest.raises(StopAsyncIteration):
        await waiting
    assert "stream-client renewal" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_connection_that_never_lasts_is_not_built_again_in_a_rush(
    proxy: Proxy, worker: FakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stream_client")
    async with EventSubscriber(proxy.url, namespace=worker.namespace, on_gap=None) as events:
        waiting = asyncio.ensure_future(anext(events))
        began_s = time.monotonic()
        for times in range(1, 6):
            proxy.cut()
            while [record.message for record in caplog.records].count("subscription.resumed") < times:
                await asyncio.wait({waiting}, timeout=0.02)

        assert time.monotonic() - began_s > sum((0.1, 0.2, 0.4, 0.8, 1.6))  # the shortest there can be
        waiting.cancel()
        await asyncio.wait({waiting})
