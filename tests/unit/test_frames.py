"""A message's frames are byte for byte those of pamqp, and what pamqp cannot write is not written."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.amqp.frames import UNWRITABLE, frames_of
from worker.amqp.messages import WireMessage
from worker.amqp.nameless import Nameless

TEXTS = st.none() | st.text(max_size=4) | st.sampled_from(["x" * 255, "x" * 256, "é" * 128, "é" * 127])
OCTETS = st.none() | st.integers(-1, 256)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.datetimes(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
NAMES = ("content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id")
OTHER_NAMES = ("message_type", "user_id", "app_id", "cluster_id")


@st.composite
def properties(draw: st.DrawFn) -> Basic.Properties:
    """Any, those that pamqp would not make or not write among them."""
    made = Basic.Properties()
    values: dict[str, Any] = {name: draw(TEXTS) for name in NAMES + OTHER_NAMES}
    values["headers"] = draw(st.none() | st.dictionaries(st.text(max_size=4), VALUES, max_size=3))
    values["delivery_mode"], values["priority"] = draw(OCTETS), draw(OCTETS)
    values["timestamp"] = draw(st.none() | st.datetimes() | st.datetimes(timezones=st.just(UTC)))
    for name, value in values.items():
        setattr(made, name, value)
    return Nameless.of(made) if draw(st.booleans()) else made


MESSAGES = st.builds(
    WireMessage,
    exchange=st.sampled_from(["", "streams.events", "x" * 127, "x" * 128, "?"]) | st.text(max_size=4),
    routing_key=TEXTS.map(lambda text: text or ""),
    properties=properties(),
    body=st.binary(max_size=100),
    mandatory=st.booleans(),
)


def by_pamqp(message: WireMessage, channel: int, body_bytes_max: int) -> bytes:
    method = Basic.Publish(exchange=message.exchange, routing_key=message.routing_key, mandatory=message.mandatory)
    bodies = [
        ContentBody(message.body[start : start + body_bytes_max])
        for start in range(0, len(message.body), body_bytes_max)
    ]
    header = ContentHeader(0, len(message.body), message.properties)
    return b"".join(frame.marshal(part, channel) for part in (method, header, *bodies))


@given(message=MESSAGES, channel=st.integers(1, 65_535), body_bytes_max=st.integers(4_096, 5_000))
def test_the_frames_are_those_of_pamqp(message: WireMessage, channel: int, body_bytes_max: int) -> None:
    try:
        expected = by_pamqp(message, channel, body_bytes_max)
    except UNWRITABLE as error:
        with pytest.raises(type(error)):
            frames_of(message, channel=channel, body_bytes_max=body_bytes_max)
    else:
        assert frames_of(message, channel=channel, body_bytes_max=body_bytes_max) == expected


@pytest.mark.parametrize("body_bytes", [0, 1, 49, 50, 51, 100, 101])
def test_a_body_takes_as_many_frames_as_it_needs(body_bytes: int) -> None:
    message = WireMessage(exchange="x", routing_key="k", properties=Basic.Properties(), body=b"x" * body_bytes)

    assert frames_of(message, channel=1, body_bytes_max=50) == by_pamqp(message, 1, 50)


def test_properties_that_do_not_fit_one_frame_cannot_be_written() -> None:
    properties = Basic.Properties(headers={"x": "y" * 5_000})
    message = WireMessage(exchange="x", routing_key="k", properties=properties, body=b"")

    with pytest.raises(ValueError, match="do not fit one frame"):
        frames_of(message, channel=1, body_bytes_max=4_096)


def test_where_the_broker_sets_no_limit_a_body_is_one_frame() -> None:
    """aiormq takes the limit of 0 for one of -8 bytes."""
    message = WireMessage(
        exchange="x",
        routing_key="k",
        properties=Basic.Properties(timestamp=datetime(2026, 1, 12, tzinfo=UTC)),
        body=b"x" * 1_000,
    )

    assert frames_of(message, channel=1, body_bytes_max=-8) == by_pamqp(message, 1, 1_000)
