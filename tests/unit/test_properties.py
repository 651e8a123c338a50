"""A content header is read as pamqp and the guard read it, whatever a stranger wrote into it."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.support import raw_amqp as raw
from worker.amqp import guard
from worker.amqp.guard import HEADER_BYTES_MAX, Undecodable
from worker.amqp.properties import _fields, read_header

TEXTS = st.none() | st.text(max_size=40).filter(lambda text: len(text.encode()) < 256)
OCTETS = st.none() | st.integers(0, 255)
TIMES = st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - drawn with one
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**31), 2**31) | st.text() | TIMES,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=9), values, max_size=3),
    max_leaves=6,
)
NAMES = [name for name in Basic.Properties.attributes() if Basic.Properties.amqp_type(name) == "shortstr"]


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    made = Basic.Properties()
    values: dict[str, Any] = {name: draw(TEXTS) for name in NAMES}
    values["headers"] = draw(st.none() | st.dictionaries(st.text(max_size=4), VALUES, max_size=3))
    values["delivery_mode"], values["priority"], values["timestamp"] = draw(OCTETS), draw(OCTETS), draw(TIMES)
    for name, value in values.items():
        setattr(made, name, value)
    return ContentHeader(0, draw(st.integers(0, 2**64 - 1)), made).marshal()


def by_pamqp(payload: bytes) -> tuple[int, Basic.Properties]:
    header = ContentHeader()
    guard.unmarshal_header(header, payload)
    return header.body_size, header.properties


def compare(payload: bytes) -> None:
    size, expected = by_pamqp(payload)
    read_size, read = read_header(payload)

    assert (read_size, type(read), read) == (size, type(expected), expected)
    if isinstance(read, Undecodable):
        assert isinstance(expected, Undecodable)
        assert read.reason == expected.reason


@given(headers())
def test_any_properties_are_those_that_pamqp_reads(payload: bytes) -> None:
    compare(payload)


@given(headers(), st.integers(12, 300), st.binary(max_size=3))
def test_any_that_are_cut_off_or_end_in_something_else_too(payload: bytes, kept_bytes: int, end: bytes) -> None:
    compare(payload[:kept_bytes] + end)


@given(headers(), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=3))
def test_any_in_which_bytes_were_changed_too(payload: bytes, changes: list[tuple[int, int]]) -> None:
    changed = bytearray(payload)
    for place, byte in changes:
        if 12 + place < len(changed):
            changed[12 + place] = byte
    compare(bytes(changed))


@given(st.integers(0, 0xFFFF), st.binary(max_size=60))
@example(0x0080, b"\x05abc")
@example(0x8080, b"\x05abc")
@example(0x8001, b"\x00\x00\x01a")
def test_any_bytes_behind_any_flags_too(flags: int, data: bytes) -> None:
    compare(raw.header(flags, data))


@pytest.mark.parametrize(("flags", "properties"), raw.POISONS.values(), ids=raw.POISONS.keys())
def test_a_poison_is_marked_as_one(flags: int, properties: bytes) -> None:
    payload = raw.header(flags, properties, body_size=7)

    size, read = read_header(payload)

    assert size == 7
    assert isinstance(read, Undecodable)
    compare(payload)


def test_a_table_that_is_as_large_as_may_be_is_read_and_a_larger_one_is_not_even_tried() -> None:
    overhead = len(raw.header(raw.HEADERS, raw.table((b"k", raw.text(b"")))))

    for more in (0, 1):
        payload = raw.header(raw.HEADERS, raw.table((b"k", raw.text(b"x" * (HEADER_BYTES_MAX - overhead + more)))))
        assert isinstance(read_header(payload)[1], Undecodable) is bool(more)
        compare(payload)


def test_without_a_body_size_there_is_no_header() -> None:
    with pytest.raises(Exception, match="unpack") as by_us:
        read_header(b"\x00" * 11)
    with pytest.raises(Exception, match="unpack") as by_them:
        by_pamqp(b"\x00" * 11)
    assert by_us.type is by_them.type


def test_senders_cannot_have_it_remember_without_end() -> None:
    for flags in range(0, 0xFFFF, 2):
        read_header(raw.header(flags, b"\x00" * 300))

    assert _fields.cache_info().currsize <= 64
