"""Messages whose properties no decoder can read, written byte by byte, on a real broker."""

from collections.abc import AsyncIterator

import pytest

from devtools.broker import PrivateBroker
from tests.support import raw_amqp as raw
from tests.support.broker_side import GOOD, Stranger, deliveries, letter, sessions, take
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.session import Session
from worker.service.messages import Confirmation, Incoming, Received, Unreadable

CREATE = raw.header(raw.TYPE, raw.short(b"stream.create"), body_size=len(GOOD))
POISON = b"poison"


@pytest.fixture
async def session(broker: PrivateBroker, namespace: str) -> AsyncIterator[Session]:
    async with sessions(broker.url, namespace).open() as session:
        yield session


@pytest.fixture
async def publisher(broker: PrivateBroker, session: Session) -> AsyncIterator[raw.RawPublisher]:
    del session  # which declares what is published to
    async with raw.RawPublisher(broker.url) as publisher:
        yield publisher


async def bury(session: Session, message: Incoming) -> None:
    """Do with a poison what the pipeline does."""
    assert isinstance(message, Unreadable)
    buried = letter(message, reason=message.reason, detail=message.detail)
    assert await session.publisher.publish([buried]) == [Confirmation.CONFIRMED]
    await session.settlement.acknowledge([message.delivery])


@pytest.mark.parametrize(("flags", "properties"), raw.POISONS.values(), ids=raw.POISONS.keys())
async def test_a_poison_is_delivered_and_buried_and_the_good_one_behind_it_is_read(
    broker: PrivateBroker,
    namespace: str,
    session: Session,
    publisher: raw.RawPublisher,
    flags: int,
    properties: bytes,
) -> None:
    exchange = f"{namespace}.commands"
    await publisher.publish(exchange, b"cam-1", raw.header(flags, properties, body_size=len(POISON)), POISON)
    await publisher.publish(exchange, b"cam-1", CREATE, GOOD)

    (poison,) = await take(session, 1)
    assert isinstance(poison, Unreadable)
    assert poison.reason == "undecodable"
    assert isinstance(poison.delivery, AmqpDelivery)
    assert poison.delivery.body == POISON
    await bury(session, poison)
    (good,) = await take(session, 1)
    assert isinstance(good, Received)
    await session.settlement.acknowledge(deliveries([good]))

    async with Stranger(broker.url, namespace) as stranger:
        buried = await stranger.get(f"{namespace}.dead")
    assert buried.body == POISON
    assert buried.headers["x-streams-reason"] == "undecodable"
    assert buried.headers["x-streams-exchange"] == exchange


async def test_all_poisons_at_once_cost_nobody_else_anything(
    broker: PrivateBroker, namespace: str, session: Session, publisher: raw.RawPublisher
) -> None:
    await session.consumer.widen()
    for flags, properties in raw.POISONS.values():
        for payload, body in ((raw.header(flags, properties, body_size=6), POISON), (CREATE, GOOD)):
            await publisher.publish(f"{namespace}.commands", b"cam-1", payload, body)

    taken = await take(session, 2 * len(raw.POISONS))

    assert [type(message) for message in taken] == [Unreadable, Received] * len(raw.POISONS)
    assert [message.delivery.redelivered for message in taken] == [False] * len(taken)  # type: ignore[attr-defined]
    for message in taken[::2]:
        await bury(session, message)
    await session.settlement.acknowledge(deliveries(taken[1::2]))
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.until_ready("dead", len(raw.POISONS))


async def test_a_poison_that_is_given_to_the_broker_is_its_dead_letter(
    broker: PrivateBroker, namespace: str, session: Session, publisher: raw.RawPublisher
) -> None:
    flags, properties = raw.POISONS["a name that is not UTF-8"]
    await publisher.publish(f"{namespace}.commands", b"k", raw.header(flags, properties, body_size=6), POISON)

    await session.settlement.give_to_broker([letter((await take(session, 1))[0])])

    async with Stranger(broker.url, namespace) as stranger:
        assert (await stranger.get(f"{namespace}.dead")).body == POISON


async def test_a_routing_key_that_is_not_utf8_is_carried_to_the_dead_letter(
    broker: PrivateBroker, namespace: str, session: Session, publisher: raw.RawPublisher
) -> None:
    await publisher.publish(f"{namespace}.commands", b"\xff" * 255, raw.header(0, body_size=6), POISON)

    (refused,) = await take(session, 1)
    assert await session.publisher.publish([letter(refused)]) == [Confirmation.CONFIRMED]

    async with Stranger(broker.url, namespace) as stranger:
        buried = await stranger.get(f"{namespace}.dead")
    assert buried.headers["x-streams-routing-key"] == "\ufffd" * 255
    assert buried.routing_key == "\ufffd" * 85


async def test_a_header_that_is_not_utf8_comes_with_its_dead_letter_as_bytes(
    broker: PrivateBroker, namespace: str, session: Session, publisher: raw.RawPublisher
) -> None:
    fields = raw.table(
        (b"latin", raw.text(b"caf\xe9")), (b"large", b"d" + b"\x7e" + b"\xff" * 7), (b"kept", b"t\x01")
    )
    await publisher.publish(f"{namespace}.commands", b"k", raw.header(raw.HEADERS, fields, body_size=6), POISON)

    (refused,) = await take(session, 1)
    assert await session.publisher.publish([letter(refused)]) == [Confirmation.CONFIRMED]

    async with Stranger(broker.url, namespace) as stranger:
        headers = (await stranger.get(f"{namespace}.dead")).headers
    assert headers["latin"] == b"caf\xe9"
    assert headers["kept"] is True
    assert "large" not in headers


@pytest.mark.parametrize("levels", [100, 300, 400, 440, 460, 470, 480, 490, 500])
async def test_a_table_of_any_depth_ends_as_a_dead_letter(
    broker: PrivateBroker, namespace: str, session: Session, publisher: raw.RawPublisher, levels: int
) -> None:
    """Some depths are read but cannot be written again."""
    payload = raw.header(raw.HEADERS, raw.nested(levels), body_size=6)
    await publisher.publish(f"{namespace}.commands", b"k", payload, POISON)

    (message,) = await take(session, 1)
    (end,) = await session.publisher.publish([letter(message)])
    if end is Confirmation.REFUSED:
        await session.settlement.give_to_broker([letter(message)])

    assert end is not Confirmation.UNKNOWN
    async with Stranger(broker.url, namespace) as stranger:
        assert (await stranger.get(f"{namespace}.dead")).body == POISON
