"""Dead letters as an operator finds them in the dead queue of a real broker."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from tests.support.broker_side import GOOD, Stranger, deliveries, letter, sessions, take
from worker.amqp.session import Session
from worker.service.messages import Confirmation, Unreadable

SENT_AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
EXPIRES_AFTER_S = 2.0  # by then it is taken, on a busy machine too


@pytest.fixture
async def session(broker: PrivateBroker, namespace: str) -> AsyncIterator[Session]:
    async with sessions(broker.url, namespace).open() as session:
        yield session


@pytest.fixture
async def stranger(broker: PrivateBroker, namespace: str, session: Session) -> AsyncIterator[Stranger]:
    del session  # which declares what the stranger publishes to
    async with Stranger(broker.url, namespace) as stranger:
        yield stranger


async def buried(session: Session, stranger: Stranger) -> AbstractIncomingMessage:
    """Take the next message, bury it, and dig it out again."""
    (message,) = await take(session, 1)
    assert await session.publisher.publish([letter(message)]) == [Confirmation.CONFIRMED]
    await session.settlement.acknowledge(deliveries([message]))
    return await stranger.get(f"{stranger.namespace}.dead")


def headers_of(message: AbstractIncomingMessage) -> dict[str, object]:
    return {name: value for name, value in message.headers.items() if name != "x-delivery-count"}


def ours(namespace: str) -> dict[str, object]:
    return {
        "x-streams-reason": "malformed",
        "x-streams-detail": "no JSON",
        "x-streams-failed-at": "2026-01-12T09:30:00.123456+00:00",
        "x-streams-attempts": 1,
        "x-streams-exchange": f"{namespace}.commands",
        "x-streams-routing-key": "cam-1",
        "x-streams-worker": "tested",
    }


async def test_body_and_properties_are_as_they_came(session: Session, stranger: Stranger) -> None:
    await stranger.send(
        b"\x00\xff no JSON",
        type="stream.create",
        content_type="application/json",
        content_encoding="gzip",
        message_id="m-1",
        correlation_id="c-1",
        reply_to="streams.commands",
        app_id="cam",
        priority=2,
        timestamp=SENT_AT,
        headers={"traceparent": "00-1-2-03", "list": [1, "two", {"three": True}]},
    )

    found = await buried(session, stranger)

    assert found.body == b"\x00\xff no JSON"
    assert (found.type, found.content_type, found.content_encoding) == (
        "stream.create",
        "application/json",
        "gzip",
    )
    assert (found.message_id, found.correlation_id, found.reply_to) == ("m-1", "c-1", "streams.commands")
    assert (found.app_id, found.priority, found.timestamp) == ("cam", 2, SENT_AT)
    assert (found.delivery_mode, found.exchange, found.routing_key) == (2, f"{stranger.namespace}.dead", "cam-1")
    assert headers_of(found) == ours(stranger.namespace) | {
        "traceparent": "00-1-2-03",
        "list": [1, "two", {"three": True}],
    }


async def test_the_sender_and_the_expiration_become_headers(session: Session, stranger: Stranger) -> None:
    await stranger.send(b"no JSON", user_id="guest", expiration=60)

    found = await buried(session, stranger)

    assert (found.user_id, found.expiration) == (None, None)
    assert headers_of(found) == ours(stranger.namespace) | {
        "x-streams-user-id": "guest",
        "x-streams-expiration": "60000",
    }


async def test_a_letter_of_a_message_that_was_about_to_expire_does_not_expire(
    session: Session, stranger: Stranger
) -> None:
    await stranger.send(b"no JSON", expiration=EXPIRES_AFTER_S)
    (message,) = await take(session, 1)
    await session.publisher.publish([letter(message)])
    await session.settlement.acknowledge(deliveries([message]))

    await stranger.send(GOOD, expiration=EXPIRES_AFTER_S)
    (in_hand,) = await take(session, 1)
    await stranger.send(b"expires behind it", expiration=EXPIRES_AFTER_S)
    await stranger.until_ready("dead", 2)  # by now the first would be gone
    expired = [await stranger.get(f"{stranger.namespace}.dead") for _ in range(2)]
    await session.settlement.acknowledge(deliveries([in_hand]))

    assert [found.body for found in expired] == [b"no JSON", b"expires behind it"]
    assert "x-death" in expired[1].headers


async def test_a_transient_message_becomes_a_persistent_letter(session: Session, stranger: Stranger) -> None:
    await stranger.send(b"no JSON", delivery_mode=1)

    assert (await buried(session, stranger)).delivery_mode == 2


async def test_no_copy_goes_where_a_stranger_says(session: Session, stranger: Stranger) -> None:
    other = await stranger.channel.declare_queue(exclusive=True)
    await other.bind(f"{stranger.namespace}.dead", "elsewhere")
    await stranger.send(b"no JSON", headers={"CC": ["elsewhere"], "BCC": ["elsewhere"], "kept": 1})

    found = await buried(session, stranger)

    assert headers_of(found) == ours(stranger.namespace) | {"kept": 1}
    assert await other.get(fail=False) is None


async def test_no_stranger_forges_the_reason(session: Session, stranger: Stranger) -> None:
    await stranger.send(b"no JSON", headers={"x-streams-reason": "internal", "x-streams-user-id": "root"})

    assert headers_of(await buried(session, stranger)) == ours(stranger.namespace)


async def test_attempts_count_the_deliveries(session: Session, stranger: Stranger, broker: PrivateBroker) -> None:
    await session.consumer.close()
    await stranger.send(b"no JSON")
    for _ in range(2):
        async with sessions(broker.url, stranger.namespace).open() as other:
            await take(other, 1)

    async with sessions(broker.url, stranger.namespace).open() as last:
        found = await buried(last, stranger)

    assert found.headers["x-streams-attempts"] == 3


async def test_an_undecodable_message_is_buried_without_its_properties(
    session: Session, stranger: Stranger
) -> None:
    await stranger.send(b"poison", headers={f"h{number}": "x" * 1_000 for number in range(20)}, message_id="m-1")
    (message,) = await take(session, 1)
    assert isinstance(message, Unreadable)

    await session.publisher.publish([letter(message, reason=message.reason, detail=message.detail)])
    found = await stranger.get(f"{stranger.namespace}.dead")

    assert found.body == b"poison"
    assert (found.type, found.message_id != "m-1") == (None, True)
    assert headers_of(found).keys() == ours(stranger.namespace).keys()
    assert found.headers["x-streams-reason"] == "undecodable"
    assert "bytes of properties; at most 16384 are read" in str(found.headers["x-streams-detail"])


async def test_looking_at_a_letter_does_not_cost_it(session: Session, stranger: Stranger) -> None:
    await stranger.send(b"no JSON")
    (message,) = await take(session, 1)
    await session.publisher.publish([letter(message)])
    await stranger.until_ready("dead", 1)
    dead = await stranger.channel.get_queue(f"{stranger.namespace}.dead", ensure=False)

    for _ in range(30):
        looked_at = await dead.get(fail=False)
        assert looked_at is not None
        await looked_at.reject(requeue=True)
        await stranger.until_ready("dead", 1)
