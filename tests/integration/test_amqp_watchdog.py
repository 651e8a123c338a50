"""The watchdog on a real broker: an epoch that hears nothing any more ends, and says why."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiormq.abc import ChannelFrame
from pamqp.commands import Basic

from devtools.broker import PrivateBroker
from tests.support.broker_side import GOOD, Stranger, deliveries, letter, sessions, take
from tests.support.proxy import Proxy
from tests.support.wire import ANSWER_WITHIN_S
from worker.amqp.session import Session
from worker.service.ports import EpochOver

WATCHDOG_S = 0.1


@pytest.fixture
async def session(broker: PrivateBroker, namespace: str) -> AsyncIterator[Session]:
    async with sessions(broker.url, namespace, prefetch=10, watchdog_s=WATCHDOG_S).open() as session:
        yield session


@pytest.fixture
async def stranger(broker: PrivateBroker, namespace: str, session: Session) -> AsyncIterator[Stranger]:
    del session  # which declares what the stranger publishes to
    async with Stranger(broker.url, namespace) as stranger:
        yield stranger


async def end_of(session: Session) -> str:
    """Wait until the epoch is over, and return why."""
    async with asyncio.timeout(ANSWER_WITHIN_S):
        with pytest.raises(EpochOver) as over:
            await session.consumer.watch()
    assert not session.consumer.is_consuming
    return str(over.value)


async def assert_it_lives(session: Session, *, looks: int = 5) -> None:
    """Watch for the length of some looks: no more can be seen of a watchdog that is content."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(looks * WATCHDOG_S):
            await session.consumer.watch()


async def cancel_in_silence(session: Session) -> None:
    """Take the consumer away at the broker without the library's knowledge."""
    channel = session.consumer._channel
    frame = Basic.Cancel(consumer_tag=session.consumer.sources[0].tag, nowait=True)
    await channel.write_queue.put(ChannelFrame.marshall(channel_number=channel.number, frames=[frame]))


async def test_a_consumer_that_is_gone_without_a_word_ends_the_epoch(session: Session) -> None:
    assert session.consumer.is_consuming
    await cancel_in_silence(session)

    assert "the broker knows of no consumer" in await end_of(session)


async def test_messages_that_go_to_nobody_end_the_epoch(
    session: Session, stranger: Stranger, broker: PrivateBroker
) -> None:
    async with Stranger(broker.url, stranger.namespace) as other:
        await other.channel.set_qos(prefetch_count=1)
        queue = await other.channel.get_queue(f"{stranger.namespace}.commands", ensure=False)
        held = asyncio.Event()

        async def hold(_: object) -> None:
            held.set()

        await queue.consume(hold)  # before ours is gone: a queue without any is deaf too
        await cancel_in_silence(session)
        await stranger.until_consumers("commands", 1)
        await stranger.send(GOOD, GOOD, GOOD)
        await held.wait()

        assert "2 messages are ready and none arrives" in await end_of(session)


async def test_narrow_with_one_in_hand_it_is_left_alone(session: Session, stranger: Stranger) -> None:
    await stranger.send(GOOD, GOOD, GOOD)
    taken = await take(session, 1)

    await assert_it_lives(session)

    await session.settlement.acknowledge(deliveries(taken))
    assert await take(session, 1)


async def test_wide_with_a_batch_in_hand_it_is_left_alone(session: Session, stranger: Stranger) -> None:
    await session.consumer.widen()
    await stranger.send(*[GOOD] * 30)
    await take(session, 10)

    await assert_it_lives(session)


async def test_paused_it_is_left_alone(session: Session, stranger: Stranger) -> None:
    assert await session.consumer.pause()
    assert not session.consumer.is_consuming
    await stranger.send(GOOD, GOOD)

    await assert_it_lives(session)

    await session.consumer.resume()
    assert session.consumer.is_consuming
    assert await take(session, 1)


async def test_with_nothing_to_do_it_is_left_alone(session: Session) -> None:
    await assert_it_lives(session)

    assert session.consumer.is_consuming


async def test_what_is_settled_either_way_is_not_in_hand_any_more(session: Session, stranger: Stranger) -> None:
    hand = session.consumer._hand
    await session.consumer.widen()
    await stranger.send(GOOD, GOOD, GOOD)
    one, two, three = await take(session, 3)
    assert hand.unsettled == 3

    await session.settlement.acknowledge([one.delivery, three.delivery])
    assert hand.unsettled == 1

    await session.settlement.give_to_broker([letter(two)])
    assert hand.unsettled == 0


@pytest.mark.parametrize("kind", ["commands", "events", "dead"])
async def test_an_exchange_that_is_deleted_ends_the_epoch(session: Session, stranger: Stranger, kind: str) -> None:
    name = f"{stranger.namespace}.{kind}"

    await stranger.channel.exchange_delete(name)

    assert await end_of(session) == f"the exchange {name} is not there"


async def test_the_queue_of_dead_letters_deleted_ends_the_epoch(session: Session, stranger: Stranger) -> None:
    name = f"{stranger.namespace}.dead"

    await stranger.channel.queue_delete(name)

    assert await end_of(session) == f"the queue {name} is not there"


async def test_a_silent_connection_ends_the_epoch_before_the_heartbeat_does(
    broker: PrivateBroker, namespace: str
) -> None:
    async with Proxy(broker.url) as proxy:
        opening = sessions(proxy.url, namespace, watchdog_s=WATCHDOG_S, confirm_timeout_s=1, heartbeat_s=300)
        async with opening.open() as session:
            proxy.freeze()

            assert "look at the queues: no answer within 1 s" in await end_of(session)
            proxy.thaw()


async def test_an_epoch_opens_one_channel_for_all_its_looks(
    session: Session, stranger: Stranger, broker: PrivateBroker
) -> None:
    del stranger

    async def channels() -> Counter[str]:
        listed = await asyncio.to_thread(broker.ctl, "list_channels", "connection", "--quiet")
        return Counter(listed.split())

    before = await channels()
    await assert_it_lives(session)

    assert await channels() <= before  # of others there may be fewer: some still close
