"""Where each outgoing message goes, and with which properties."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pamqp.commands import Basic

from tests.support.deliveries import delivery
from tests.support.making import Tag
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.messages import WireFormat, WireMessage
from worker.amqp.topology import topology
from worker.service.messages import Answer, DeadLetter, Reply, ReplyTo, StoredEvent

NOW = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
WIRE = WireFormat(topology("streams"), DeadLetters(worker_name="host:1", clock=lambda: NOW))
ANSWER = Answer(type="stream.reply", content_type="application/json", body=b"{}")


def reply(address: str, *, correlation_id: str | None = "c-1") -> Reply:
    return Reply(
        delivery=Tag(tag=1),
        to=ReplyTo(address=address, correlation_id=correlation_id),
        message_id="r-1",
        answer=ANSWER,
    )


def test_an_event_goes_to_the_events_exchange() -> None:
    event = StoredEvent(
        id=UUID(int=7), device_id="cam-1", sequence=1, type="stream.created", at=NOW, body=b'{"specversion":"1.0"}'
    )

    assert WIRE.of(event) == WireMessage(
        exchange="streams.events",
        routing_key="stream.created.cam-1",
        properties=Basic.Properties(
            content_type="application/cloudevents+json",
            delivery_mode=2,
            message_id="00000000-0000-0000-0000-000000000007",
            timestamp=NOW.replace(microsecond=0),
            message_type="stream.created",
            app_id="stream-worker",
        ),
        body=b'{"specversion":"1.0"}',
        may_wait=True,
    )


def test_a_reply_goes_through_the_default_exchange() -> None:
    assert WIRE.of(reply("amq.gen-x")) == WireMessage(
        exchange="",
        routing_key="amq.gen-x",
        properties=Basic.Properties(
            content_type="application/json",
            delivery_mode=2,
            correlation_id="c-1",
            message_id="r-1",
            message_type="stream.reply",
            app_id="stream-worker",
        ),
        body=b"{}",
    )


def test_a_reply_without_a_correlation_has_none() -> None:
    assert WIRE.of(reply("amq.gen-x", correlation_id=None)).properties.correlation_id is None


@pytest.mark.parametrize(
    ("address", "is_direct"),
    [
        ("amq.rabbitmq.reply-to.AAAA.BBBB", True),
        ("amq.rabbitmq.reply-to", True),
        ("amq.gen-x", False),
        ("streams.reply.amq.rabbitmq.reply-to.x", False),
    ],
)
def test_a_direct_reply_is_told_by_its_address(address: str, is_direct: bool) -> None:  # noqa: FBT001 - expected
    message = WIRE.of(reply(address))

    assert (message.is_direct_reply, message.mandatory) == (is_direct, False)


def test_a_dead_letter_goes_to_the_dead_and_has_to_arrive() -> None:
    came = delivery(b"not JSON", message_id="m-1")

    letter = WIRE.of(DeadLetter(delivery=came, reason="malformed", detail="no JSON"))

    assert (letter.exchange, letter.routing_key, letter.body, letter.mandatory) == (
        "streams.dead",
        "cam-1",
        b"not JSON",
        True,
    )
    assert letter.properties.headers is not None
    assert letter.properties.headers["x-streams-reason"] == "malformed"


def test_a_dead_letter_whose_routing_key_has_grown_is_cut_where_a_character_ends() -> None:
    came = delivery(routing_key="\ufffd" * 255)

    letter = WIRE.of(DeadLetter(delivery=came, reason="undecodable", detail="x"))

    assert letter.routing_key == "\ufffd" * 85
    assert letter.properties.headers is not None
    assert letter.properties.headers["x-streams-routing-key"] == "\ufffd" * 255


def test_the_canary_goes_to_nobody() -> None:
    canary = WIRE.canary()

    assert (canary.exchange, canary.routing_key, canary.mandatory) == ("", "streams.canary", False)
