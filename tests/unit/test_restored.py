"""Commands made of dead letters: as they came."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.support.deliveries import delivery
from tests.support.direct_addresses import direct_address
from worker.amqp.codec.age import AgeLimit
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.letter import Letter, read_letter
from worker.amqp.messages import WireMessage
from worker.amqp.replaying import Fate, foreseen
from worker.amqp.restored import restored
from worker.amqp.topology import topology

NAMES = topology("streams")
DIED_AT = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
SENT_AT = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)


def buried(came: AmqpDelivery) -> Letter:
    """The letter that the worker makes of a message."""
    letters = DeadLetters(worker_name="tested", clock=lambda: DIED_AT)
    properties = letters.properties(came, reason="internal", detail="")
    found = AmqpDelivery(
        tag=1, exchange="streams.dead", routing_key="cut", redelivered=False, properties=properties, body=came.body
    )
    return read_letter(found, number=1, names=NAMES)


def back(came: AmqpDelivery, *, with_reply_to: bool = True) -> WireMessage:
    return restored(buried(came), exchange="streams.commands", with_reply_to=with_reply_to)


def on_the_wire(message: WireMessage) -> Basic.Properties:
    header = ContentHeader()
    header.unmarshal(ContentHeader(properties=message.properties).marshal())
    return header.properties


def the_whole(**changed: Any) -> AmqpDelivery:
    return delivery(
        b'{"device_id": "cam-1"}',
        content_type="application/json",
        correlation_id="c-1",
        message_id="m-1",
        user_id="alice",
        app_id="cam",
        priority=2,
        timestamp=SENT_AT,
        delivery_mode=2,
        headers={"traceparent": "00-1-2-03", "latin": b"caf\xe9"},
        **changed,
    )


def test_body_key_sender_and_properties_are_as_they_came() -> None:
    came = the_whole()

    message = back(came)

    assert (message.exchange, message.routing_key, message.mandatory) == ("streams.commands", "cam-1", True)
    assert message.body == came.body
    sent = on_the_wire(message)
    for name in ("content_type", "correlation_id", "message_id", "user_id", "app_id", "priority", "timestamp"):
        assert getattr(sent, name) == getattr(came.properties, name)
    assert (sent.message_type, sent.reply_to) == (came.properties.message_type, came.properties.reply_to)
    assert sent.headers == {"traceparent": "00-1-2-03", "latin": bytearray(b"caf\xe9")}


def test_its_expiration_is_not_restored_and_it_is_persistent() -> None:
    sent = on_the_wire(back(delivery(message_id="m-1", expiration="10", delivery_mode=1)))

    assert (sent.expiration, sent.delivery_mode, sent.headers) == (None, 2, None)


def test_without_a_timestamp_it_gets_the_moment_of_its_death() -> None:
    assert on_the_wire(back(delivery(message_id="m-1"))).timestamp == DIED_AT


def test_without_a_message_id_it_stays_so() -> None:
    letter = buried(delivery())
    letter.delivery.properties.message_id = "what aiormq made up"

    message = restored(letter, exchange="streams.commands")

    assert message.properties.message_id, "else aiormq makes one up"
    assert on_the_wire(message).message_id is None
    assert on_the_wire(message).message_type == "stream.create"


@pytest.mark.parametrize("address", [direct_address("reply@1", 1), "amq.rabbitmq.reply-to"])
def test_who_asked_by_a_direct_address_does_not_wait_any_more(address: str) -> None:
    assert on_the_wire(back(delivery(message_id="m-1", reply_to=address))).reply_to is None


@pytest.mark.parametrize("address", ["amq.gen-x", "streams.reply.cam-1"])
def test_who_asked_by_a_queue_is_answered(address: str) -> None:
    assert on_the_wire(back(delivery(message_id="m-1", reply_to=address))).reply_to == address


def test_what_a_worker_would_refuse_as_expired_is_too_old_to_go_back() -> None:
    def fate(*, retention_s: float, **properties: Any) -> Fate | None:
        age = AgeLimit(retention_s=retention_s, clock=lambda: DIED_AT + timedelta(hours=1))
        return foreseen(buried(delivery(message_id="m-1", **properties)), age)

    assert fate(retention_s=5_400, timestamp=SENT_AT) is None
    assert fate(retention_s=5_399, timestamp=SENT_AT) is Fate.TOO_OLD
    assert fate(retention_s=3_600) is None
    assert fate(retention_s=3_599) is Fate.TOO_OLD


def test_what_nobody_knows_is_unreadable_however_old_it_is() -> None:
    letter = read_letter(
        delivery(exchange="streams.dead", headers={"x-streams-reason": "undecodable"}, timestamp=SENT_AT),
        number=1,
        names=NAMES,
    )

    assert foreseen(letter, AgeLimit(retention_s=1, clock=lambda: DIED_AT)) is Fate.UNREADABLE


def test_it_asks_for_no_reply_where_told_so() -> None:
    assert on_the_wire(back(the_whole(), with_reply_to=False)).reply_to is None


def test_the_letter_itself_is_left_as_it_is() -> None:
    letter = buried(the_whole())
    headers = dict(letter.delivery.properties.headers or {})

    restored(letter, exchange="streams.commands", with_reply_to=False)

    assert letter.delivery.properties.headers == headers
    assert letter.delivery.properties.reply_to


def test_nothing_of_the_brokers_goes_back_and_no_copy_elsewhere() -> None:
    death = {"reason": "expired", "queue": "streams.commands", "routing-keys": ["cam-7"], "time": DIED_AT}
    headers = {
        "x-death": [death],
        "x-first-death-queue": "streams.commands",
        "x-last-death-reason": "expired",
        "x-delivery-count": 3,
        "x-streams-user-id": "root",
        "CC": ["elsewhere"],
        "BCC": ["elsewhere"],
        "x-own": 1,
    }
    found = delivery(exchange="streams.dead", message_id="m-1", user_id="alice", headers=headers)

    message = restored(read_letter(found, number=1, names=NAMES), exchange="streams.commands")

    assert message.properties.headers == {"x-own": 1}
    assert (message.routing_key, message.properties.user_id) == ("cam-7", "alice")
    assert message.properties.timestamp == DIED_AT


def test_a_key_that_has_grown_by_being_read_is_cut_to_what_can_be_written() -> None:
    message = back(delivery(routing_key="\ufffd" * 200))

    assert len(message.routing_key.encode()) <= 255
