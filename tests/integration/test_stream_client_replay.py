"""The history that the broker keeps, read by the client. Real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from devtools.broker import PrivateBroker
from schemas import Event
from stream_client import EventSubscriber, Gap, StreamMisconfigured
from stream_client.feed import PREFETCH
from tests.support.fake_worker import WITHIN_S, FakeWorker, an_event
from tests.support.proxy import Proxy
from tests.support.wire import eventually
from worker.amqp.topology import EventLog

LOG = EventLog(bytes_max=20_000_000, retention_s=3_600)
FIVE = [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("a", 3)]

Replaying = Callable[..., EventSubscriber]


async def begin_history(worker: FakeWorker) -> None:
    queue = await worker.channel.declare_queue(name_of(worker), durable=True, arguments=LOG.arguments)
    await queue.bind(f"{worker.namespace}.events", "#")


def name_of(worker: FakeWorker) -> str:
    return f"{worker.namespace}.events.log"


@pytest.fixture
async def replay(broker: PrivateBroker, worker: FakeWorker) -> AsyncIterator[Replaying]:
    await begin_history(worker)
    yield partial(EventSubscriber, url=broker.url, namespace=worker.namespace, on_gap=None, replay_from="first")
    await worker.channel.queue_delete(name_of(worker))


async def take(events: EventSubscriber, count: int) -> list[Event]:
    async with asyncio.timeout(WITHIN_S):
        return [await anext(events) for _ in range(count)]


async def publish(worker: FakeWorker, events: Sequence[Event]) -> Sequence[Event]:
    for event in events:
        await worker.publish(event)
    return events


async def test_what_happened_before_is_replayed_in_order_and_then_goes_on(
    worker: FakeWorker, replay: Replaying
) -> None:
    before = await publish(worker, [an_event("a", number) for number in range(1, 3 * PREFETCH)])
    async with replay() as events:
        assert await take(events, len(before)) == before
        after = await publish(worker, [an_event("a", 3 * PREFETCH), an_event("b", 1)])
        assert await take(events, 2) == after

    async with replay() as events:
        assert await take(events, len(before) + 2) == [*before, *after]  # who reads takes nothing away


async def test_a_replay_from_a_time_begins_with_the_first_event_of_then(
    worker: FakeWorker, replay: Replaying
) -> None:
    now = datetime.now(UTC)
    old, at, new = (
        an_event("a", number).model_copy(update={"time": now + timedelta(seconds=later_s)})
        for number, later_s in ((1, -20), (2, -10), (3, 0))
    )
    await publish(worker, [old, at, new])

    async with replay(replay_from=at.time) as events:
        assert await take(events, 2) == [at, new]
    async with replay(replay_from=now + timedelta(hours=1)) as events:
        tomorrow = an_event("a", 4).model_copy(update={"time": now + timedelta(days=1)})
        await publish(worker, [tomorrow])
        assert await take(events, 1) == [tomorrow]


async def test_a_later_subscription_goes_on_where_an_earlier_one_was(
    worker: FakeWorker, replay: Replaying
) -> None:
    history = await publish(worker, [an_event(*of) for of in FIVE])
    async with replay() as events:
        assert events.next_offset is None
        assert await take(events, 3) == history[:3]
        kept = events.next_offset

    async with replay(replay_from=kept) as events:
        assert await take(events, 2) == history[3:]


async def test_who_has_seen_all_gets_what_comes_and_nothing_again(worker: FakeWorker, replay: Replaying) -> None:
    history = await publish(worker, [an_event(*of) for of in FIVE])
    async with replay(replay_from=len(history)) as events:
        (after,) = await publish(worker, [an_event("a", 4)])

        assert await take(events, 1) == [after]


async def test_a_place_in_a_history_that_was_begun_anew_is_its_beginning(
    worker: FakeWorker, replay: Replaying, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that is asked for more than there is says nothing until there is."""
    await publish(worker, [an_event(*of) for of in FIVE])
    await worker.channel.queue_delete(name_of(worker))
    await begin_history(worker)
    anew = await publish(worker, [an_event("a", 4), an_event("b", 2)])

    async with replay(replay_from=len(FIVE)) as events:
        assert await take(events, 2) == anew
        assert events.next_offset == 2
    assert "history.anew" in [record.message for record in caplog.records]


async def test_a_history_that_is_begun_anew_while_it_is_read_is_read_from_its_beginning(
    worker: FakeWorker, replay: Replaying
) -> None:
    told: list[Gap] = []
    history = await publish(worker, [an_event(*of) for of in FIVE])
    async with replay(on_gap=told.append) as events:
        assert await take(events, len(history)) == history
        await worker.channel.queue_delete(name_of(worker))
        await publish(worker, [an_event("a", 4)])  # to nobody
        await begin_history(worker)
        anew = await publish(worker, [an_event("a", 5), an_event("b", 2)])

        assert await take(events, 2) == anew
    assert told == [Gap(device_id="a", first=4, last=4)]


async def test_the_history_is_chosen_from_by_device_and_type(worker: FakeWorker, replay: Replaying) -> None:
    history = await publish(worker, [*(an_event(*of) for of in FIVE), an_event("b", 2, stopped=True)])

    async with replay(devices=["b", "c"]) as events:
        assert await take(events, 3) == [history[1], history[3], history[5]]
    async with replay(devices=["a", "b"], types=["stream.stopped"]) as events:
        assert await take(events, 1) == [history[5]]
        assert events.next_offset == 6  # what was passed over is behind it too


async def test_what_stands_twice_in_the_history_is_given_once_and_what_is_missing_is_told(
    worker: FakeWorker, replay: Replaying
) -> None:
    told: list[Gap] = []
    first, third = await publish(worker, [an_event("a", 1), an_event("a", 3)])
    await publish(worker, [first, third])
    await worker.publish_bytes(b"not an event", "stream.created.a")
    (last,) = await publish(worker, [an_event("a", 4)])

    async with replay(on_gap=told.append) as events:
        assert await take(events, 3) == [first, third, last]
    assert told == [Gap(device_id="a", first=2, last=2)]


async def test_a_replay_whose_connection_is_cut_goes_on_where_it_was(
    proxy: Proxy, worker: FakeWorker, replay: Replaying
) -> None:
    told: list[Gap] = []
    history = await publish(worker, [an_event("a", number) for number in range(1, 11)])
    async with replay(url=proxy.url, on_gap=told.append) as events:
        assert await take(events, 4) == history[:4]
        proxy.cut()
        assert await take(events, 6) == history[4:]
        proxy.cut()
        after = await publish(worker, [an_event("a", 11)])
        assert await take(events, 1) == after
    assert told == []


async def test_a_history_that_is_full_forgets_its_oldest_events(broker: PrivateBroker, worker: FakeWorker) -> None:
    told: list[Gap] = []
    name, small = f"{worker.namespace}.events.log", EventLog(bytes_max=100_000, retention_s=3_600)
    queue = await worker.channel.declare_queue(name, durable=True, arguments=small.arguments)
    await queue.bind(f"{worker.namespace}.events", "#")
    history = await publish(worker, [an_event("a", number) for number in range(1, 501)])

    replay = partial(EventSubscriber, broker.url, namespace=worker.namespace, replay_from="first")

    async def is_forgotten() -> bool:
        async with replay(on_gap=None) as events:
            return (await take(events, 1))[0].number > 100

    await eventually(is_forgotten)  # the broker does that when it likes
    async with replay(on_gap=told.append) as events:
        (first,) = await take(events, 1)
        assert first.number > 100
        assert await take(events, 500 - first.number) == history[first.number :]
    assert told == []
    await worker.channel.queue_delete(name)


async def test_without_a_history_it_is_said_what_to_set(broker: PrivateBroker, worker: FakeWorker) -> None:
    with pytest.raises(StreamMisconfigured, match=r"no queue .*\.events\.log; .* STREAMS_EVENT_LOG=on"):
        await EventSubscriber(
            broker.url, namespace=worker.namespace, on_gap=None, replay_from="first"
        ).__aenter__()
