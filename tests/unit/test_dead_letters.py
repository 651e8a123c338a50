"""Dead letters: what came, as far as it can be written again, and why it is here."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.support import raw_amqp as raw
from tests.support.deliveries import delivery, unreadable
from worker.amqp import guard
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import HEADER_BYTES_MAX, Undecodable

NOW = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
LETTERS = DeadLetters(worker_name="host:1", clock=lambda: NOW)
OF_NAMED = {
    "x-streams-reason": "malformed",
    "x-streams-detail": "no JSON",
    "x-streams-failed-at": "2026-01-12T09:30:00.123456+00:00",
    "x-streams-attempts": 1,
    "x-streams-exchange": "streams.commands",
    "x-streams-routing-key": "cam-1",
    "x-streams-worker": "host:1",
}
OURS = OF_NAMED | {"x-streams-nameless": True}


@pytest.fixture(autouse=True)
def installed() -> None:
    guard.install()


def letter_of(came: AmqpDelivery, *, detail: str = "no JSON") -> Basic.Properties:
    return LETTERS.properties(came, reason="malformed", detail=detail)


def written(letter: Basic.Properties) -> ContentHeader:
    """What a reader makes of the letter's properties on the wire."""
    payload = ContentHeader(properties=letter).marshal()
    assert len(payload) <= HEADER_BYTES_MAX
    header = ContentHeader()
    header.unmarshal(payload)
    assert not isinstance(header.properties, Undecodable)
    return header


def test_the_reason_stands_beside_the_properties_as_they_came() -> None:
    came = delivery(
        content_type="application/json",
        correlation_id="c-1",
        message_id="m-1",
        priority=3,
        app_id="cam",
        timestamp=datetime(2026, 1, 12, tzinfo=UTC),
        headers={"traceparent": "00-1-2-03", "nested": {"list": [1, None, True]}},
    )

    letter = letter_of(came)

    assert letter.headers == OF_NAMED | {"traceparent": "00-1-2-03", "nested": {"list": [1, None, True]}}
    for name in ("content_type", "correlation_id", "message_id", "priority", "app_id", "timestamp", "reply_to"):
        assert getattr(letter, name) == getattr(came.properties, name)
    assert (letter.message_type, letter.delivery_mode) == ("stream.create", 2)
    assert written(letter).properties == letter


def test_what_the_broker_would_refuse_or_lose_the_letter_by_becomes_a_header() -> None:
    letter = letter_of(delivery(user_id="alice", expiration="60000"))

    assert (letter.user_id, letter.expiration) == (None, None)
    assert letter.headers == OURS | {"x-streams-user-id": "alice", "x-streams-expiration": "60000"}


def test_the_delivery_itself_is_left_as_it_came() -> None:
    came = delivery(user_id="alice", headers={"a": "b"}, delivery_mode=1)

    letter_of(came)

    assert (came.properties.user_id, came.properties.headers, came.properties.delivery_mode) == (
        "alice",
        {"a": "b"},
        1,
    )


@pytest.mark.parametrize(
    "name",
    ["CC", "BCC", "x-streams-reason", "x-streams-user-id", "x-streams-anything", "x-death", "x-first-death-queue"],
)
def test_no_stranger_routes_a_letter_or_speaks_for_us(name: str) -> None:
    assert letter_of(delivery(headers={name: ["forged"], "kept": 1})).headers == OURS | {"kept": 1}


@pytest.mark.parametrize(
    ("came", "attempts"),
    [
        (delivery(), 1),
        (delivery(redelivered=True), 2),
        (delivery(headers={"x-delivery-count": 0}), 1),
        (delivery(headers={"x-delivery-count": 4}, redelivered=True), 5),
        (delivery(headers={"x-delivery-count": "4"}), 1),
        (delivery(headers={"x-delivery-count": 4}), 1),
        (delivery(headers={"x-delivery-count": 2**63 - 1}), 1),
        (delivery(headers={"x-delivery-count": 2**63 - 1}, redelivered=True), 2),
        (delivery(headers={"x-delivery-count": -4}, redelivered=True), 2),
        (delivery(headers={"x-delivery-count": 0}, redelivered=True), 2),
    ],
)
def test_attempts_count_this_one(came: AmqpDelivery, attempts: int) -> None:
    letter = letter_of(came)

    assert letter.headers == OURS | {"x-streams-attempts": attempts}


def test_an_undecodable_message_keeps_nothing_but_the_reason() -> None:
    letter = letter_of(unreadable())

    assert letter.headers == OF_NAMED
    assert type(letter) is Basic.Properties
    assert (letter.message_type, letter.delivery_mode) == (None, 2)


@pytest.mark.parametrize("value", [{"n" * 129: 1}, [{"a": [{"n" * 129: 1}]}], {"\u00e9" * 65: 1}])
def test_a_name_that_pamqp_would_cut_goes_with_what_it_is_in(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    letter = letter_of(delivery(headers={"outer": value, "kept": {"n" * 128: 1}}))

    assert letter.headers == OURS | {"kept": {"n" * 128: 1}}
    written(letter)
    assert not caplog.records, "it would have been logged, too"


def test_the_detail_is_cut() -> None:
    letter = letter_of(delivery(), detail="x" * 1_000)

    assert letter.headers is not None
    assert letter.headers["x-streams-detail"] == "x" * 512


@pytest.mark.parametrize(
    "value",
    [
        1e300,
        Decimal(4_294_967_295),
        Decimal(10) ** -300,
        Decimal("NaN"),
        {"deep": {"not UTF-8": b"\xff"}},
        object(),
    ],
)
def test_a_header_that_cannot_be_written_again_is_left_out(value: Any) -> None:
    letter = letter_of(delivery(headers={"bad": value, "kept": 1}))

    assert letter.headers == OURS | {"kept": 1}
    assert written(letter).properties.headers == OURS | {"kept": 1}


def test_a_string_that_is_not_utf8_goes_as_bytes() -> None:
    letter = letter_of(delivery(headers={"latin": b"caf\xe9"}))

    assert written(letter).properties.headers == OURS | {"latin": bytearray(b"caf\xe9")}


def test_a_header_with_a_name_that_is_too_long_is_left_out() -> None:
    letter = letter_of(delivery(headers={"n" * 129: 1, "é" * 65: 1, "n" * 128: 1}))

    assert letter.headers == OURS | {"n" * 128: 1}


def test_headers_that_would_make_the_letter_unreadable_for_us_are_left_out() -> None:
    """A letter that is returned is recognised by its properties; over 16 KiB the guard would not read them."""
    letter = letter_of(delivery(headers={"large": "x" * 16_200, "small": "y"}))

    assert letter.headers == OURS | {"small": "y"}
    written(letter)


def test_the_deepest_table_that_is_read_makes_a_letter_that_is_written() -> None:
    for levels in (100, 300, 400, 450, 470, 480, 490, 500):
        header = ContentHeader()
        header.unmarshal(raw.header(raw.HEADERS, raw.nested(levels)))
        came = AmqpDelivery(
            tag=1, exchange="e", routing_key="k", redelivered=False, properties=header.properties, body=b""
        )

        letter_of(came)


garbage = st.binary(max_size=400).map(lambda fields: raw.header(raw.HEADERS, raw.long(fields)))
values = st.one_of(
    st.binary(max_size=20).map(raw.text),
    st.binary(min_size=4, max_size=4).map(lambda data: b"f" + data),
    st.binary(min_size=8, max_size=8).map(lambda data: b"d" + data),
    st.binary(min_size=8, max_size=8).map(lambda data: b"T" + data),
    st.binary(min_size=8, max_size=8).map(lambda data: b"l" + data),
    st.binary(min_size=5, max_size=5).map(lambda data: b"D" + data),
    st.binary(max_size=20).map(lambda data: b"x" + raw.long(data)),
    st.integers(0, 30).map(lambda levels: b"F" + raw.nested(levels)),
    st.just(b"V"),
)
tables = st.lists(st.tuples(st.text(max_size=40).map(str.encode), values), max_size=8).map(
    lambda fields: raw.header(raw.HEADERS, raw.table(*fields))
)


@given(payload=garbage | tables, exchange=st.text(max_size=127), routing_key=st.text(max_size=255))
def test_whatever_came_its_letter_can_be_written(payload: bytes, exchange: str, routing_key: str) -> None:
    guard.install()
    header = ContentHeader()
    header.unmarshal(payload)
    came = AmqpDelivery(
        tag=1,
        exchange=exchange,
        routing_key=routing_key,
        redelivered=False,
        properties=header.properties,
        body=b"",
    )

    read = written(letter_of(came)).properties

    assert read.headers is not None
    assert read.headers["x-streams-reason"] == "malformed"
    assert read.headers["x-streams-routing-key"] == routing_key


@pytest.mark.parametrize("size_bytes", range(15_900, 16_300, 16))
def test_a_letter_without_an_id_has_room_for_the_one_by_which_it_is_known_if_it_comes_back(
    size_bytes: int,
) -> None:
    letter = letter_of(delivery(message_id=None, headers={"a": "x" * size_bytes}))

    assert letter.message_id
    assert letter.headers is not None
    assert letter.headers["x-streams-nameless"] is True
    written(letter)
