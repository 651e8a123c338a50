"""The guard: whatever stands in a header frame, the frame is read and the next one can come."""

import random
import struct
from collections.abc import Callable

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.support import raw_amqp as raw
from worker.amqp import guard
from worker.amqp.guard import HEADER_BYTES_MAX, Undecodable

FUZZED = 20_000
BODY_SIZE = 1_234_567


@pytest.fixture(autouse=True)
def installed() -> None:
    guard.install()


def read(payload: bytes) -> ContentHeader:
    frame = struct.pack(">BHI", 2, 1, len(payload)) + payload + b"\xce"
    used, channel, header = pamqp.frame.unmarshal(frame)
    assert (used, channel) == (len(frame), 1)
    assert isinstance(header, ContentHeader)
    return header


@pytest.mark.parametrize(("flags", "properties"), raw.POISONS.values(), ids=raw.POISONS.keys())
def test_a_poison_is_read_as_undecodable_with_its_body_size(flags: int, properties: bytes) -> None:
    header = read(raw.header(flags, properties, body_size=BODY_SIZE))

    assert header.body_size == BODY_SIZE
    assert isinstance(header.properties, Undecodable)
    assert header.properties.reason
    assert (header.properties.headers, header.properties.reply_to) == (None, None)


@pytest.mark.parametrize(
    "payload",
    [
        raw.header(raw.HEADERS, raw.nested(5_000)),
        raw.header(raw.HEADERS, raw.table((b"a", b"?"))),
        raw.header(raw.HEADERS, b"\x7f\xff\xff\xff"),
        raw.header(raw.HEADERS, b"\xff\xff\xff\xff"),
        raw.header(raw.HEADERS, raw.table((b"a", b"A" + b"\xff\xff\xff\xf0"))),
        raw.header(raw.HEADERS | raw.TIMESTAMP, raw.table(), b"\x00"),
        raw.header(raw.TYPE, b""),
        raw.header(0)[:-1],
        raw.header(0)[:-2],
        raw.header(1),
        raw.header(1, b"\x00\x01"),
    ],
)
def test_broken_properties_are_undecodable(payload: bytes) -> None:
    assert isinstance(read(payload).properties, Undecodable)


def test_20000_frames_of_garbage_are_read() -> None:
    chance = random.Random(20_000)
    good = raw.header(
        raw.CONTENT_TYPE | raw.HEADERS | raw.TIMESTAMP | raw.TYPE,
        raw.short(b"application/json"),
        raw.table(
            (b"traceparent", raw.text(b"00-1-2-03")), (b"n", b"l" + b"\x01" * 8), (b"t", b"F" + raw.nested(3))
        ),
        b"\x00" * 4 + b"\x12" * 4,
        raw.short(b"stream.create"),
        body_size=BODY_SIZE,
    )
    spoil: list[Callable[[bytes], bytes]] = [
        lambda rest: chance.randbytes(len(rest)),
        lambda rest: rest[: chance.randrange(len(rest))],
        lambda rest: rest + chance.randbytes(9),
        lambda rest: bytes(b ^ (chance.randrange(256) if chance.random() < 0.1 else 0) for b in rest),
    ]
    for _ in range(FUZZED):
        header = read(good[:12] + chance.choice(spoil)(good[12:]))
        assert header.body_size == BODY_SIZE


def test_a_good_header_is_read_as_without_the_guard() -> None:
    properties = Basic.Properties(
        content_type="application/json",
        headers={"traceparent": "00-1-2-03", "list": [1, {"a": None}], "n": 2**40},
        message_id="m-1",
        message_type="stream.create",
        reply_to="amq.gen-x",
        user_id="alice",
    )
    payload = ContentHeader(body_size=17, properties=properties).marshal()

    header = read(payload)

    assert (header.class_id, header.weight, header.body_size) == (60, 0, 17)
    assert type(header.properties) is Basic.Properties
    assert header.properties == properties


def test_properties_of_16_kib_are_read_and_one_byte_more_is_not() -> None:
    def sized(size: int) -> bytes:
        overhead = len(raw.header(raw.HEADERS, raw.table((b"a", raw.text(b"")))))
        return raw.header(raw.HEADERS, raw.table((b"a", raw.text(b"x" * (size - overhead)))))

    largest = read(sized(HEADER_BYTES_MAX))
    too_large = read(sized(HEADER_BYTES_MAX + 1))

    assert not isinstance(largest.properties, Undecodable)
    assert isinstance(too_large.properties, Undecodable)
    assert too_large.properties.reason == "16385 bytes of properties; at most 16384 are read"


def test_installing_twice_is_the_same_as_once() -> None:
    once = ContentHeader.unmarshal

    guard.install()

    assert ContentHeader.unmarshal is once


def deliver(exchange: bytes, routing_key: bytes, *, redelivered: bool = False) -> Basic.Deliver:
    arguments = (
        raw.short(b"ctag1.x") + struct.pack(">QB", 7, redelivered) + raw.short(exchange) + raw.short(routing_key)
    )
    payload = struct.pack(">HH", 60, 60) + arguments
    _, _, frame = pamqp.frame.unmarshal(struct.pack(">BHI", 1, 1, len(payload)) + payload + b"\xce")
    assert isinstance(frame, Basic.Deliver)
    return frame


def test_a_routing_key_of_any_bytes_is_delivered() -> None:
    frame = deliver(b"streams.commands", b"cam-\xff\xfe")

    assert (frame.consumer_tag, frame.delivery_tag, frame.redelivered) == ("ctag1.x", 7, False)
    assert (frame.exchange, frame.routing_key) == ("streams.commands", "cam-\ufffd\ufffd")


def test_a_message_that_is_asked_for_may_have_any_routing_key_too() -> None:
    arguments = (
        struct.pack(">QB", 7, 1) + raw.short(b"streams.dead") + raw.short(b"cam-\xff") + struct.pack(">I", 12)
    )
    payload = struct.pack(">HH", 60, 71) + arguments

    _, _, frame = pamqp.frame.unmarshal(struct.pack(">BHI", 1, 1, len(payload)) + payload + b"\xce")

    assert isinstance(frame, Basic.GetOk)
    assert (frame.delivery_tag, frame.redelivered, frame.message_count) == (7, True, 12)
    assert (frame.exchange, frame.routing_key) == ("streams.dead", "cam-\ufffd")


@given(
    exchange=st.text(max_size=60).map(str.encode),
    routing_key=st.text(max_size=60).map(str.encode),
    redelivered=st.booleans(),
)
def test_a_delivery_is_read_as_the_broker_wrote_it(exchange: bytes, routing_key: bytes, redelivered: bool) -> None:  # noqa: FBT001 - drawn
    frame = deliver(exchange, routing_key, redelivered=redelivered)

    assert (frame.delivery_tag, frame.redelivered) == (7, redelivered)
    assert (frame.exchange, frame.routing_key) == (exchange.decode(), routing_key.decode())
