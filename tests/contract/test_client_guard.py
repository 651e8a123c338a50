"""The client's guard: whatever stands in a frame, it is read, as long as it was, and the next one can come."""

import asyncio
import struct

import pamqp.frame
import pytest
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from stream_client.guard import PROPERTIES_BYTES_MAX, GuardedReader
from tests.support import raw_amqp as raw

METHOD, HEADER = 1, 2
BODY_SIZE = 1_234_567


async def read(kind: int, *payloads: bytes) -> list[bytes]:
    """Read frames as aiormq does; return what is in them."""
    stream = asyncio.StreamReader()
    for payload in payloads:
        stream.feed_data(struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce")
    guarded, read = GuardedReader(stream), []
    for _ in payloads:
        size = struct.unpack(">BHI", await guarded.readexactly(1) + await guarded.readexactly(6))[2]
        read.append(await guarded.readexactly(size + 1))
    assert all(one.endswith(b"\xce") for one in read)
    return [one[:-1] for one in read]


def deliver(exchange: bytes, routing_key: bytes, *, tag: int = 0xFFFE_FDFC) -> bytes:
    method = struct.pack(">HH", 60, 60) + raw.short(b"ctag1.1") + struct.pack(">QB", tag, 1)
    return method + raw.short(exchange) + raw.short(routing_key)


@pytest.mark.parametrize(("flags", "properties"), raw.POISONS.values(), ids=raw.POISONS.keys())
async def test_properties_that_cannot_be_decoded_are_none(flags: int, properties: bytes) -> None:
    payload = raw.header(flags, properties, body_size=BODY_SIZE)
    blank = raw.header(0, body_size=BODY_SIZE).ljust(len(payload), b"\0")

    harmless, following = await read(HEADER, payload, raw.header(0, body_size=1))

    # Where the worker's guard is at work in this process too, some can be decoded, and stay.
    assert harmless == (payload if harmless == payload and _is_decodable(payload) else blank)
    assert following == raw.header(0, body_size=1)


def _is_decodable(header: bytes) -> bool:
    try:
        ContentHeader().unmarshal(header)
    except Exception:  # noqa: BLE001 - of whatever kind
        return False
    return True


async def test_properties_that_can_be_decoded_stay_as_they_are() -> None:
    properties = Basic.Properties(
        content_type="application/json", headers={"x-stream-offset": 7}, message_id="m-1"
    )
    payload = ContentHeader(body_size=17, properties=properties).marshal()

    assert await read(HEADER, payload) == [payload]


async def test_properties_of_16_kib_are_read_and_one_byte_more_is_not() -> None:
    empty = len(raw.header(raw.HEADERS, raw.table((b"a", raw.text(b"")))))
    largest, larger = (
        raw.header(raw.HEADERS, raw.table((b"a", raw.text(b"x" * (size - empty)))))
        for size in (PROPERTIES_BYTES_MAX, PROPERTIES_BYTES_MAX + 1)
    )

    assert await read(HEADER, largest, larger) == [largest, raw.header(0).ljust(len(larger), b"\0")]


async def test_a_routing_key_that_is_not_utf8_is_read_without_what_is_not() -> None:
    good, poison = (
        deliver(b"streams.events", "stream.created.é".encode()),
        deliver(b"e", b"k.\xff\xfe" + b"z" * 251),
    )

    assert await read(METHOD, good, poison) == [good, deliver(b"e", b"k.??" + b"z" * 251)]
    _, _, frame = pamqp.frame.unmarshal(struct.pack(">BHI", 1, 1, len(good)) + good + b"\xce")
    assert isinstance(frame, Basic.Deliver)
