"""One suite for the ports Inbox, Publisher and Settlement: the fake broker keeps the promises of the real one."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_ports import PREFETCH, Ends, Epoch, FakeEnds, RealEnds, number_of, numbers_of
from tests.support.broker_side import Stranger, event, letter, options
from tests.support.proxy import Proxy
from tests.support.wire import ANSWER_WITHIN_S
from worker.amqp.session import apply_topology
from worker.amqp.topology import topology
from worker.service.messages import Confirmation, Incoming
from worker.service.ports import EpochOver, InboxClosed

CONFIRMED, REFUSED, UNKNOWN = Confirmation.CONFIRMED, Confirmation.REFUSED, Confirmation.UNKNOWN


@pytest.fixture(params=["fake", "rabbitmq"])
async def ends(request: pytest.FixtureRequest, broker: PrivateBroker, namespace: str) -> AsyncIterator[Ends]:
    if request.param == "fake":
        yield FakeEnds()
        return
    await apply_topology(options(broker.url), topology(namespace))
    async with Stranger(broker.url, namespace) as stranger, Proxy(broker.url) as proxy:
        yield RealEnds(stranger=stranger, proxy=proxy)


async def take(epoch: Epoch, count: int) -> list[Incoming]:
    """Take so many, however many come at a time."""
    taken: list[Incoming] = []
    while len(taken) < count:
        some = await epoch.inbox.take(count - len(taken), within_s=ANSWER_WITHIN_S)
        assert 0 < len(some) <= count - len(taken)
        taken += some
    return taken


async def settle(epoch: Epoch, *messages: Incoming) -> None:
    await epoch.settlement.acknowledge([message.delivery for message in messages])


async def left(ends: Ends, count: int) -> list[int]:
    """What the next epoch gets: so many, and whatever comes beyond them."""
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        numbers = numbers_of(await take(epoch, count))
        return sorted(numbers + numbers_of(await epoch.inbox.take(100, within_s=0.2)))


async def test_they_are_taken_in_the_order_in_which_they_were_sent(ends: Ends) -> None:
    await ends.send(*range(PREFETCH))
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()

        assert numbers_of(await take(epoch, PREFETCH)) == list(range(PREFETCH))


async def test_no_more_than_the_limit_are_taken_at_a_time(ends: Ends) -> None:
    await ends.send(*range(PREFETCH))
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()

        assert numbers_of(await take(epoch, 3)) == [0, 1, 2]
        assert numbers_of(await take(epoch, 4)) == [3, 4, 5, 6]


async def test_until_it_is_widened_one_is_in_hand_at_a_time(ends: Ends) -> None:
    await ends.send(0, 1, 2)
    async with ends.epoch() as epoch:
        for number in range(3):
            (message,) = await epoch.inbox.take(10, within_s=ANSWER_WITHIN_S)
            assert number_of(message) == number
            assert await epoch.inbox.take(10, within_s=0.05) == []
            await settle(epoch, message)


async def test_widened_no_more_than_the_prefetch_are_in_hand(ends: Ends) -> None:
    await ends.send(*range(2 * PREFETCH))
    async with ends.epoch() as epoch:
        first = await take(epoch, 1)
        await settle(epoch, *first)
        await epoch.inbox.widen()
        await epoch.inbox.widen()

        taken = await take(epoch, PREFETCH)
        # On RabbitMQ one more may have come to the narrow consumer, before it was cancelled.
        more = await epoch.inbox.take(100, within_s=0.2)
        assert len(more) <= 1
        await settle(epoch, *taken, *more)
        rest = await take(epoch, 2 * PREFETCH - 1 - len(taken) - len(more))

        assert numbers_of([*first, *taken, *more, *rest]) == list(range(2 * PREFETCH))


async def test_without_a_delivery_take_ends_with_nothing(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        assert await epoch.inbox.take(10, within_s=0.01) == []


async def test_who_waits_gets_what_comes(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        taking = asyncio.create_task(epoch.inbox.take(10))
        await asyncio.sleep(0)
        await ends.send(7)

        assert numbers_of(await taking) == [7]


async def test_tags_ascend_from_1_in_every_epoch(ends: Ends) -> None:
    await ends.send(*range(5))
    for _ in range(2):
        async with ends.epoch() as epoch:
            await epoch.inbox.widen()

            assert [message.delivery.tag for message in await take(epoch, 5)] == [1, 2, 3, 4, 5]


async def test_what_is_not_settled_comes_again_and_what_is_settled_does_not(ends: Ends) -> None:
    await ends.send(*range(6))
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        taken = await take(epoch, 6)
        await settle(epoch, taken[4], taken[1])
        await settle(epoch)
        await settle(epoch, taken[0])

    assert await left(ends, 3) == [2, 3, 5]


async def test_what_was_never_taken_comes_again(ends: Ends) -> None:
    await ends.send(*range(4))
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        await take(epoch, 1)

    assert await left(ends, 4) == [0, 1, 2, 3]


async def test_what_is_given_to_the_broker_does_not_come_again(ends: Ends) -> None:
    await ends.send(0, 1, 2)
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        taken = await take(epoch, 3)
        await epoch.settlement.give_to_broker([letter(taken[1])])
        await settle(epoch, taken[0])

    assert await left(ends, 1) == [2]


async def test_two_workers_never_have_the_same_in_hand(ends: Ends) -> None:
    await ends.send(0, 1, 2)
    async with ends.epoch() as one, ends.epoch() as other:
        first, second = await take(one, 1), await take(other, 1)
        assert {number_of(first[0]), number_of(second[0])} == {0, 1}

        await settle(other, *second)
        assert numbers_of(await take(other, 1)) == [2]


async def test_closed_what_is_in_hand_can_be_taken_and_then_no_more(ends: Ends) -> None:
    await ends.send(0, 1, 2)
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        first = await take(epoch, 1)
        in_hand = await take(epoch, 2)
        await epoch.inbox.close()
        await epoch.inbox.close()
        await ends.send(3)

        for _ in range(2):
            with pytest.raises(InboxClosed):
                await epoch.inbox.take(10, within_s=ANSWER_WITHIN_S)
        await settle(epoch, *first, *in_hand)

    assert await left(ends, 1) == [3]


async def test_who_waits_for_a_delivery_hears_that_it_was_closed(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        taking = asyncio.create_task(epoch.inbox.take(10))
        await asyncio.sleep(0)
        await epoch.inbox.close()

        with pytest.raises(InboxClosed):
            await taking


async def test_after_the_connection_is_lost_everything_says_so_and_nothing_hangs(ends: Ends) -> None:
    await ends.send(0, 1)
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        one, other = await take(epoch, 2)
        watching = asyncio.create_task(epoch.inbox.watch())
        await ends.lose()

        async with asyncio.timeout(ANSWER_WITHIN_S):
            with pytest.raises(EpochOver):
                await watching
            for _ in range(2):
                with pytest.raises(EpochOver):
                    await epoch.inbox.take(10)
            with pytest.raises(EpochOver):
                await settle(epoch, one)
            with pytest.raises(EpochOver):
                await epoch.settlement.give_to_broker([letter(other)])
            assert await epoch.publisher.publish([event(), event()]) == [UNKNOWN, UNKNOWN]
            await epoch.inbox.close()

    assert await left(ends, 2) == [0, 1]


async def test_a_connection_that_is_lost_is_no_longer_widened(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        await ends.lose()

        with pytest.raises(EpochOver):
            await epoch.inbox.widen()


async def test_each_publish_is_reported_at_its_own_place(ends: Ends) -> None:
    await ends.refuse("bad")
    async with ends.epoch() as epoch:
        messages = [event(number, device_id="bad" if number % 3 else "good") for number in range(9)]

        assert await epoch.publisher.publish(messages) == [CONFIRMED, REFUSED, REFUSED] * 3
        assert await epoch.publisher.publish(messages[:1]) == [CONFIRMED]


async def test_nothing_to_publish_is_nothing_to_report(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        assert await epoch.publisher.publish([]) == []


async def test_paused_nothing_new_comes_and_what_is_in_hand_can_be_taken_and_settled(ends: Ends) -> None:
    await ends.send(0, 1, 2)
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        first = await take(epoch, 1)
        in_hand = await take(epoch, 2)
        assert await epoch.inbox.pause()
        assert await epoch.inbox.pause(), "again it is as it was"
        await ends.send(3)

        assert await epoch.inbox.take(10, within_s=0.2) == []
        await settle(epoch, *first, *in_hand)
        assert await epoch.inbox.take(10, within_s=0.2) == []

    assert await left(ends, 1) == [3]


async def test_resumed_one_at_a_time_comes_beside_what_was_in_hand(ends: Ends) -> None:
    await ends.send(0, 1)
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        in_hand = await take(epoch, 2)
        await epoch.inbox.pause()
        await ends.send(2, 3)
        await epoch.inbox.resume()
        await epoch.inbox.resume()

        for number in (2, 3):
            (message,) = await epoch.inbox.take(10, within_s=ANSWER_WITHIN_S)
            assert number_of(message) == number
            assert await epoch.inbox.take(10, within_s=0.2) == []
            await settle(epoch, message)
        await settle(epoch, *in_hand)

    assert await left(ends, 0) == []


async def test_resumed_it_can_be_widened_again(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        await epoch.inbox.widen()
        await epoch.inbox.pause()
        await ends.send(*range(PREFETCH))

        await epoch.inbox.resume()
        await epoch.inbox.widen()

        assert numbers_of(await take(epoch, PREFETCH)) == list(range(PREFETCH))


async def test_a_pause_is_not_ended_by_widening(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        await epoch.inbox.pause()
        await epoch.inbox.widen()
        await ends.send(0)

        assert await epoch.inbox.take(10, within_s=0.2) == []

    assert await left(ends, 1) == [0]


async def test_a_pause_before_the_start_says_so_and_holds_nothing_up(ends: Ends) -> None:
    await ends.send(0)
    async with ends.epoch(started=False) as epoch:
        assert not await epoch.inbox.pause()
        await epoch.inbox.resume()
        assert await epoch.inbox.take(10, within_s=0.2) == []

        await epoch.inbox.start()

        assert numbers_of(await take(epoch, 1)) == [0]


async def test_closed_it_is_neither_paused_nor_resumed(ends: Ends) -> None:
    async with ends.epoch() as epoch:
        await epoch.inbox.pause()
        await epoch.inbox.close()
        await ends.send(0)
        await epoch.inbox.resume()

        assert await epoch.inbox.pause(), "it had been started"
        with pytest.raises(InboxClosed):
            await epoch.inbox.take(10, within_s=ANSWER_WITHIN_S)

    assert await left(ends, 1) == [0]


async def test_closed_before_its_start_there_is_nothing_to_wait_for(ends: Ends) -> None:
    async with ends.epoch(started=False) as epoch:
        await epoch.inbox.close()

        with pytest.raises(InboxClosed):
            await epoch.inbox.pause()


async def test_a_connection_that_is_lost_can_be_neither_paused_nor_resumed(ends: Ends) -> None:
    async with ends.epoch() as one, ends.epoch() as other:
        await other.inbox.pause()
        await ends.lose()

        with pytest.raises(EpochOver):
            await one.inbox.pause()
        with pytest.raises(EpochOver):
            await other.inbox.resume()


async def test_what_comes_again_says_so(ends: Ends) -> None:
    await ends.send(0)
    for redelivered in (False, True):
        async with ends.epoch() as epoch:
            (message,) = await take(epoch, 1)
            assert message.delivery.redelivered is redelivered
