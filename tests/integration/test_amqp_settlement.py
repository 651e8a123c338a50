"""Settling on a real broker: what is acknowledged is forgotten, what is not comes again."""

from collections.abc import AsyncIterator

import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_side import Stranger, bodies, deliveries, letter, sessions, take
from worker.amqp.session import Sessions
from worker.service.ports import EpochOver

NUMBERED = [b"%d" % number for number in range(20)]


@pytest.fixture
def opening(broker: PrivateBroker, namespace: str) -> Sessions:
    return sessions(broker.url, namespace)


@pytest.fixture
async def stranger(broker: PrivateBroker, namespace: str, opening: Sessions) -> AsyncIterator[Stranger]:
    async with opening.open():
        pass  # declares what the stranger publishes to
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.send(*NUMBERED)
        yield stranger


async def test_what_was_acknowledged_last_is_forgotten_although_the_line_closes_at_once(
    opening: Sessions, stranger: Stranger
) -> None:
    async with opening.open() as session:
        await session.consumer.widen()
        await session.settlement.acknowledge(deliveries(await take(session, len(NUMBERED))))

    await stranger.until_consumers("commands", 0)
    assert await stranger.ready("commands") == 0


async def test_what_is_not_settled_comes_again_in_the_next_epoch(opening: Sessions, stranger: Stranger) -> None:
    del stranger
    async with opening.open() as session:
        await session.consumer.widen()
        taken = await take(session, len(NUMBERED))
        done = [message for number, message in enumerate(taken) if number % 3]
        await session.settlement.acknowledge(deliveries(done))

    async with opening.open() as session:
        await session.consumer.widen()
        again = await take(session, 7)

        assert sorted(bodies(again), key=int) == NUMBERED[::3]
        assert await session.consumer.take(1, within_s=0.1) == []
        assert [message.delivery.redelivered for message in again] == [True] * 7  # type: ignore[attr-defined]
        assert [message.delivery.tag for message in again] == list(range(1, 8))


async def test_settled_out_of_order_everything_is_settled(opening: Sessions, stranger: Stranger) -> None:
    async with opening.open() as session:
        await session.consumer.widen()
        taken = deliveries(await take(session, len(NUMBERED)))
        for some in (taken[5:9], taken[1:3], taken[12:], taken[0:1], taken[9:12], taken[3:5]):
            await session.settlement.acknowledge(some)
        await session.consumer.close()

    await stranger.until_consumers("commands", 0)
    assert await stranger.ready("commands") == 0


async def test_what_is_given_to_the_broker_becomes_its_dead_letter(opening: Sessions, stranger: Stranger) -> None:
    async with opening.open() as session:
        await session.consumer.widen()
        taken = await take(session, len(NUMBERED))
        await session.settlement.acknowledge(deliveries([*taken[:7], *taken[8:]]))
        await session.settlement.give_to_broker([letter(taken[7])])
        kept = await stranger.get(f"{stranger.namespace}.dead")

    assert kept.body == NUMBERED[7]
    (death,) = kept.headers["x-death"]  # type: ignore[misc, union-attr]
    assert (death["queue"], death["reason"]) == (f"{stranger.namespace}.commands", "rejected")  # type: ignore[index, call-overload]
    assert "x-streams-reason" not in kept.headers
    assert await stranger.ready("commands") == 0
    assert await stranger.ready("dead") == 0


async def test_settling_twice_is_an_error_of_the_broker_that_ends_the_epoch(
    opening: Sessions, stranger: Stranger
) -> None:
    """Why the book of tags has to be right."""
    del stranger
    async with opening.open() as session:
        (first,) = await take(session, 1)
        await session.settlement.acknowledge([first.delivery])
        await session.settlement.give_to_broker([letter(first)])

        with pytest.raises(EpochOver, match="unknown delivery tag"):
            await session.consumer.watch()
