"""An epoch's side of a real broker: opened, narrow and then wide, closed, and lost."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_side import GOOD, Stranger, bodies, deliveries, event, sessions, take
from tests.support.proxy import Proxy
from tests.support.wire import ANSWER_WITHIN_S, eventually
from worker.amqp.session import Session, Sessions
from worker.service.messages import Confirmation, Received
from worker.service.ports import EpochOver, InboxClosed

NUMBERED = [b'{"device_id": "cam-%d"}' % number for number in range(100)]


@pytest.fixture
def opening(broker: PrivateBroker, namespace: str) -> Sessions:
    return sessions(broker.url, namespace, prefetch=50)


@pytest.fixture
async def session(opening: Sessions) -> AsyncIterator[Session]:
    async with opening.open() as session:
        yield session


@pytest.fixture
async def stranger(broker: PrivateBroker, namespace: str, session: Session) -> AsyncIterator[Stranger]:
    del session  # which declares what the stranger publishes to
    async with Stranger(broker.url, namespace) as stranger:
        yield stranger


async def test_a_command_goes_all_the_way_through(session: Session, stranger: Stranger) -> None:
    await stranger.send(GOOD, message_id="m-1", reply_to="amq.gen-x")

    (received,) = await session.consumer.take(10)

    assert isinstance(received, Received)
    assert received.identity is not None
    assert received.identity.key.message_id == "m-1"
    assert await session.publisher.publish([event()]) == [Confirmation.CONFIRMED]
    await session.settlement.acknowledge([received.delivery])
    await session.consumer.close()
    with pytest.raises(InboxClosed):
        await session.consumer.take(10)


async def test_nothing_is_delivered_before_the_consumer_is_started(
    broker: PrivateBroker, namespace: str, opening: Sessions
) -> None:
    async with Sessions.open(opening) as session, Stranger(broker.url, namespace) as stranger:
        await stranger.send(GOOD)
        await stranger.until_ready("commands", 1)
        assert not session.consumer.is_consuming

        await session.consumer.close()
        await session.consumer.start()

        assert not session.consumer.is_consuming, "closed, it stays closed"


async def test_until_it_is_widened_one_delivery_at_a_time_is_in_hand(session: Session, stranger: Stranger) -> None:
    await stranger.send(*NUMBERED)

    for number in range(5):
        await stranger.until_ready("commands", 99 - number)
        (received,) = await session.consumer.take(10)
        assert bodies([received]) == [NUMBERED[number]]
        assert await session.consumer.take(10, within_s=0.05) == []
        await session.settlement.acknowledge([received.delivery])


async def test_widened_it_takes_as_many_as_the_prefetch_in_order(session: Session, stranger: Stranger) -> None:
    await stranger.send(*NUMBERED)
    first = await take(session, 1)
    await session.settlement.acknowledge(deliveries(first))

    await session.consumer.widen()
    await session.consumer.widen()
    rest = await take(session, 50)
    assert await stranger.ready("commands") in {48, 49}  # 50, and perhaps one that came before it was widened
    await session.settlement.acknowledge(deliveries(rest))
    rest += await take(session, 49)

    assert bodies(first + rest) == NUMBERED
    assert [delivery.tag for delivery in deliveries(first + rest)] == list(range(1, 101))


async def test_a_batch_is_what_is_there_up_to_the_limit(session: Session, stranger: Stranger) -> None:
    await session.consumer.widen()
    await stranger.send(*NUMBERED[:30])
    await stranger.until_ready("commands", 0)

    async def has_arrived() -> bool:
        return session.consumer._hand.arrived == 30

    await eventually(has_arrived)
    assert [len(await session.consumer.take(limit)) for limit in (20, 20)] == [20, 10]


async def test_without_a_delivery_take_ends_with_nothing(session: Session) -> None:
    assert await session.consumer.take(10, within_s=0.01) == []


async def test_closed_it_takes_nothing_new_and_what_is_in_hand_can_be_taken(
    session: Session, stranger: Stranger
) -> None:
    await session.consumer.widen()
    await stranger.send(*NUMBERED[:10])
    await stranger.until_ready("commands", 0)

    await session.consumer.close()
    await session.consumer.close()
    await stranger.send(*NUMBERED[10:20])

    rest = await take(session, 10)
    assert bodies(rest) == NUMBERED[:10]
    for _ in range(2):
        with pytest.raises(InboxClosed):
            await session.consumer.take(10)
    assert not session.consumer.is_consuming
    await session.settlement.acknowledge(deliveries(rest))
    assert await stranger.ready("commands") == 10
    await stranger.until_consumers("commands", 0)  # a quorum queue counts one that has something in hand


async def test_closed_the_last_batch_comes_before_the_end(session: Session, stranger: Stranger) -> None:
    await session.consumer.widen()
    await stranger.send(*NUMBERED[:10])
    await stranger.until_ready("commands", 0)
    await session.consumer.close()

    assert bodies(await session.consumer.take(100)) == NUMBERED[:10]
    with pytest.raises(InboxClosed):
        await session.consumer.take(100)


async def test_who_waits_for_a_delivery_hears_that_it_was_closed(session: Session) -> None:
    taking = asyncio.create_task(session.consumer.take(10))
    await asyncio.sleep(0)

    await session.consumer.close()

    with pytest.raises(InboxClosed):
        await taking


async def test_closed_while_it_is_widened_it_stops_to_consume(session: Session, stranger: Stranger) -> None:
    await asyncio.gather(session.consumer.widen(), session.consumer.close())

    await stranger.until_consumers("commands", 0)
    await stranger.send(GOOD)
    with pytest.raises(InboxClosed):
        await session.consumer.take(10)
    await session.consumer.widen()
    assert await stranger.consumers("commands") == 0


async def test_a_queue_that_is_deleted_ends_the_epoch(session: Session, stranger: Stranger) -> None:
    watching = asyncio.create_task(session.consumer.watch())

    await stranger.channel.queue_delete(f"{stranger.namespace}.commands")

    async with asyncio.timeout(ANSWER_WITHIN_S):
        with pytest.raises(EpochOver, match="was the queue deleted"):
            await watching
        with pytest.raises(EpochOver):
            await session.consumer.take(10)
    assert not session.consumer.is_consuming


@pytest.mark.parametrize("which", [0, 1], ids=["consuming", "publishing"])
async def test_either_of_two_connections_that_is_lost_ends_the_epoch(
    broker: PrivateBroker, namespace: str, which: int
) -> None:
    async with Proxy(broker.url) as proxy, sessions(proxy.url, namespace).open() as session:
        watching = asyncio.create_task(session.consumer.watch())
        taking = asyncio.create_task(session.consumer.take(10))

        proxy.number(which).cut()

        async with asyncio.timeout(ANSWER_WITHIN_S):
            with pytest.raises(EpochOver, match="the connection is gone"):
                await watching
            with pytest.raises(EpochOver, match="the connection is gone"):
                await taking
            with pytest.raises(EpochOver):
                await session.consumer.take(10)


async def test_nothing_works_on_and_nothing_hangs_after_the_line_was_cut(
    broker: PrivateBroker, namespace: str
) -> None:
    async with Stranger(broker.url, namespace) as stranger, Proxy(broker.url) as proxy:
        async with sessions(proxy.url, namespace).open() as session:
            await stranger.send(GOOD)
            taken = await take(session, 1)
            proxy.cut()

            async with asyncio.timeout(ANSWER_WITHIN_S):
                with pytest.raises(EpochOver):
                    await session.consumer.watch()
                assert await session.publisher.publish([event()]) == [Confirmation.UNKNOWN]
                with pytest.raises(EpochOver):
                    await session.settlement.acknowledge(deliveries(taken))
                with pytest.raises(EpochOver):
                    await session.consumer.widen()
                await session.consumer.close()
        await stranger.until_ready("commands", 1)


async def test_a_missed_heartbeat_ends_the_epoch(broker: PrivateBroker, namespace: str) -> None:
    async with Proxy(broker.url) as proxy, sessions(proxy.url, namespace, heartbeat_s=1).open() as session:
        proxy.freeze()

        async with asyncio.timeout(ANSWER_WITHIN_S):
            with pytest.raises(EpochOver, match="not heard of for three heartbeats"):
                await session.consumer.watch()
        proxy.thaw()


async def test_a_publish_that_waits_when_the_heartbeat_is_missed_is_unknown(
    broker: PrivateBroker, namespace: str
) -> None:
    """aiormq raises CancelledError there, in tasks that nobody cancelled."""
    async with Proxy(broker.url) as proxy, sessions(proxy.url, namespace, heartbeat_s=1).open() as session:
        proxy.freeze()

        async with asyncio.timeout(ANSWER_WITHIN_S):
            ends = await session.publisher.publish([event(number) for number in range(50)])
        assert ends == [Confirmation.UNKNOWN] * 50
        proxy.thaw()


async def test_a_frozen_broker_is_left_within_a_few_seconds(broker: PrivateBroker, namespace: str) -> None:
    async with Proxy(broker.url) as proxy:
        async with sessions(proxy.url, namespace, settle_timeout_s=1, heartbeat_s=300).open() as session:
            proxy.freeze()
            await session.consumer.close()
            with pytest.raises(EpochOver):
                await session.consumer.watch()
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 30
        proxy.thaw()


async def test_a_broker_that_takes_no_more_bytes_is_left_within_a_few_seconds(
    broker: PrivateBroker, namespace: str
) -> None:
    """Then not even the goodbye can be written, and aiormq would wait for three heartbeats."""
    large = [event(number, body=b"x" * 200_000) for number in range(200)]
    async with Proxy(broker.url) as proxy:
        before = asyncio.all_tasks()
        async with sessions(proxy.url, namespace, confirm_timeout_s=2, heartbeat_s=300).open() as session:
            proxy.freeze()
            assert Confirmation.CONFIRMED not in await session.publisher.publish(large)
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 30

        async def are_gone() -> bool:
            return not [task for task in asyncio.all_tasks() - before if not task.get_name().startswith("proxy.")]

        assert await eventually(are_gone)


async def test_a_memory_alarm_is_said_and_nothing_is_taken_in(broker: PrivateBroker, namespace: str) -> None:
    broker.run_out_of_memory()
    try:
        with pytest.raises(EpochOver, match="memory or disk alarm"):
            async with sessions(broker.url, namespace, confirm_timeout_s=0.5).open():
                pass
    finally:
        broker.have_memory_again()


async def test_ended_it_leaves_no_consumer_and_no_connection(opening: Sessions, broker: PrivateBroker) -> None:
    async with opening.open():
        pass

    async def is_gone() -> bool:
        return "tested" not in await asyncio.to_thread(broker.ctl, "list_connections", "client_properties")

    assert await eventually(is_gone)


async def test_one_epoch_after_another_leaves_no_task_behind(opening: Sessions) -> None:
    before = asyncio.all_tasks()

    for _ in range(5):
        async with opening.open():
            pass

    async def are_gone() -> bool:
        return asyncio.all_tasks() <= before

    assert await eventually(are_gone)


async def test_what_goes_wrong_inside_an_epoch_closes_it_and_comes_out(
    opening: Sessions, broker: PrivateBroker, namespace: str
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with opening.open():
            raise ZeroDivisionError

    async with Stranger(broker.url, namespace) as stranger:
        await stranger.until_consumers("commands", 0)


async def test_who_is_cancelled_inside_an_epoch_closes_it_and_is_cancelled(opening: Sessions) -> None:
    opened = asyncio.Event()

    async def epoch() -> None:
        async with opening.open():
            opened.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(epoch())
    await opened.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
