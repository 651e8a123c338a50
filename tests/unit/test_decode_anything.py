"""Whatever comes in is a value: the decoder never raises."""

import json
from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic

import schemas
from tests.support.deliveries import admission, decoder
from worker.amqp.codec.decode import UNDECODABLE, Decoder
from worker.amqp.delivery import AmqpDelivery
from worker.service.messages import Received, Refused, Unreadable

DECODE = decoder(also="anywhere")

# A short string holds at most 255 bytes of UTF-8.
short = st.none() | st.text(max_size=255).map(lambda text: text.encode()[:255].decode(errors="ignore"))
names = st.sampled_from([*schemas.CommandName, "stream.reply", ""])
parameters = st.lists(st.text("a*0=;\"' charset-utf8", max_size=12), max_size=4).map(";".join)
media_types = st.sampled_from(["application/json", "application/json; charset=utf-8", "text/plain"])
media_types |= parameters.map("application/json;".__add__)
addresses = st.sampled_from(["amq.gen-x", "streams.reply.x", "amq.rabbitmq.reply-to.x", "streams.commands"])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
members = st.dictionaries(st.sampled_from(["device_id", "stream_id", "code", "other"]), json_values | st.text())


def _written(value: object) -> bytes:
    return json.dumps(value).encode()


bodies = st.binary(max_size=300) | json_values.map(_written) | members.map(_written)
properties = st.builds(
    Basic.Properties,
    content_type=short | media_types,
    content_encoding=st.none() | short,
    correlation_id=short,
    reply_to=short | addresses,
    message_id=short,
    message_type=short | names,
    user_id=short,
    timestamp=st.none() | st.datetimes(min_value=datetime(1970, 1, 1)),  # noqa: DTZ001 - pamqp takes both
    expiration=short,
    priority=st.none() | st.integers(0, 255),
)


@given(properties=properties, body=bodies)
def test_any_bytes_and_any_properties_are_one_of_three_things(properties: Basic.Properties, body: bytes) -> None:
    sent = AmqpDelivery(tag=1, exchange="", routing_key="", redelivered=False, properties=properties, body=body)

    incoming = DECODE(sent)

    assert isinstance(incoming, Received | Refused | Unreadable)
    assert getattr(incoming, "reason", "") != UNDECODABLE, "it tripped the decoder over"
    assert incoming.delivery is sent
    match incoming:
        case Received(identity=identity):
            assert properties.message_type in set(schemas.CommandName)
            assert (identity is None) == (not properties.message_id)
        case Refused(answer=answer):
            assert schemas.read_problem(answer.body).code == answer.problem
        case Unreadable(reason=reason):
            assert reason == "reply_to_not_allowed"


@given(body=bodies, name=st.sampled_from(list(schemas.CommandName)))
def test_the_same_message_is_read_the_same_every_time(body: bytes, name: str) -> None:
    sent = AmqpDelivery(
        tag=1,
        exchange="",
        routing_key="",
        redelivered=False,
        properties=Basic.Properties(message_type=name, message_id="m-1"),
        body=body,
    )

    assert DECODE(sent) == DECODE(sent)


class TrippedOver:
    """Reply addresses that a library fails to look at."""

    def allows(self, address: str) -> bool:
        raise LookupError(address)


def test_a_message_that_trips_the_decoder_over_is_unreadable_and_not_the_workers_end() -> None:
    properties = Basic.Properties(reply_to="amq.gen-x")
    sent = AmqpDelivery(tag=1, exchange="", routing_key="", redelivered=False, properties=properties, body=b"")

    incoming = Decoder(addresses=TrippedOver(), admission=admission())(sent)  # type: ignore[arg-type]

    assert incoming == Unreadable(delivery=sent, reason=UNDECODABLE, detail="LookupError")
