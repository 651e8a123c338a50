"""What the proxy of the fault tests makes of AMQP: whole methods, their tags, and what it cannot read unharmed."""

import struct

import pamqp.frame
import pytest
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Confirm, Connection
from pamqp.header import ContentHeader, ProtocolHeader
from pamqp.heartbeat import Heartbeat

from tests.support.amqp_tap import Tap
from tests.support.parcel import Parcel
from tests.support.said import Direction

START_OK = Connection.StartOk(client_properties={"connection_name": "w-1 publish"}, response="x")
HEARTBEAT = Heartbeat().marshal()


def frames(*parts: pamqp.frame.FrameTypes, channel: int = 1) -> bytes:
    return b"".join(pamqp.frame.marshal(part, channel) for part in parts)


def publish(body: bytes = b"body", *, channel: int = 1, message_id: str = "m-1") -> list[bytes]:
    properties = Basic.Properties(message_id=message_id, correlation_id="c-1")
    method = Basic.Publish(exchange="events", routing_key="stream.created.cam-1")
    header = ContentHeader(body_size=len(body), properties=properties)
    parts = [frames(method, channel=channel), frames(header, channel=channel)]
    return [*parts, frames(ContentBody(body), channel=channel)] if body else parts


def raw_frame(kind: int, payload: bytes, *, channel: int = 1) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def tags(parcels: list[Parcel]) -> list[int | None]:
    return [said.delivery_tag for parcel in parcels for said in parcel.said]


def fed(*data: bytes, direction: Direction = "to_server") -> list[Parcel]:
    return Tap(7).parcels(direction, b"".join(data))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 20, 1000])
def test_however_the_bytes_come_the_parcels_are_the_same(size: int) -> None:
    sent = [frames(ProtocolHeader()), frames(START_OK, channel=0), HEARTBEAT, b"".join(publish())]
    stream = b"".join(sent)
    tap = Tap(7)

    parcels = [
        parcel
        for start in range(0, len(stream), size)
        for parcel in tap.parcels("to_server", stream[start : start + size])
    ]

    assert [parcel.raw for parcel in parcels] == sent
    assert [said.method for parcel in parcels for said in parcel.said] == ["Connection.StartOk", "Basic.Publish"]
    assert tap.name == "w-1 publish"


def test_a_publish_is_said_with_its_content() -> None:
    tap = Tap(7)
    tap.parcels("to_server", frames(START_OK, channel=0) + frames(Confirm.Select()))

    (parcel,) = tap.parcels("to_server", b"".join(publish(b"x" * 10)))

    (said,) = parcel.said
    assert (said.number, said.connection, said.channel, said.direction) == (7, "w-1 publish", 1, "to_server")
    assert (said.exchange, said.routing_key) == ("events", "stream.created.cam-1")
    assert (said.message_id, said.correlation_id, said.delivery_tag) == ("m-1", "c-1", 1)
    assert said.is_publish


def test_a_publish_without_a_body_is_whole_with_its_header() -> None:
    assert tags(fed(*publish(b""))) == [None]


@pytest.mark.parametrize("between", [HEARTBEAT, frames(Basic.Ack(delivery_tag=9), channel=2)])
def test_what_stands_between_a_method_and_its_content_goes_with_them(between: bytes) -> None:
    method, header, body = publish()
    tap = Tap(7)

    assert tap.parcels("to_server", method + between + header) == []
    (parcel,) = tap.parcels("to_server", body)

    assert parcel.raw == method + between + header + body
    assert [said.message_id for said in parcel.said][-1] == "m-1"


def test_publishes_are_counted_on_each_channel_since_it_is_in_confirm_mode() -> None:
    parcels = fed(
        *publish(),
        frames(Confirm.Select()),
        *publish(),
        *publish(channel=2),
        frames(Confirm.Select()),
        *publish(),
        frames(Channel.Open()),
        *publish(),
    )

    assert [said.delivery_tag for parcel in parcels for said in parcel.said if said.is_publish] == [
        None,
        1,
        None,
        2,
        None,
    ]


def test_a_confirm_says_whom_it_confirms_and_can_be_parted() -> None:
    tap = Tap(7)
    tap.parcels("to_server", frames(Confirm.Select()) + b"".join(publish()) * 5)

    one, many, all_the_rest, nobody = tap.parcels(
        "to_client",
        frames(
            Basic.Ack(delivery_tag=2),
            Basic.Nack(delivery_tag=4, multiple=True),
            Basic.Ack(delivery_tag=0, multiple=True),
            Basic.Ack(delivery_tag=5),
        ),
    )

    assert [parcel.confirmed for parcel in (one, many, all_the_rest, nobody)] == [(2,), (1, 3, 4), (5,), ()]
    assert one.one_by_one() == [one]
    parts = many.one_by_one()
    assert [part.raw for part in parts] == [frames(Basic.Nack(delivery_tag=tag)) for tag in (1, 3, 4)]
    assert [(part.said[0].delivery_tag, part.said[0].multiple) for part in parts] == [
        (1, False),
        (3, False),
        (4, False),
    ]


def test_a_delivery_whose_routing_key_cannot_be_read_has_its_tag() -> None:
    method = Basic.Deliver(consumer_tag="c", delivery_tag=3, redelivered=False, exchange="e", routing_key="key")
    spoiled = frames(method).replace(b"key", b"\xff\xfe\xfd")

    parcels = fed(spoiled, frames(ContentHeader(body_size=0)), direction="to_client")

    assert tags(parcels) == [3]


def test_properties_that_cannot_be_read_pass_with_nothing_said_of_them() -> None:
    method, _, body = publish(b"body")
    header = raw_frame(2, struct.pack(">HHQH", 60, 0, 4, 0x2000) + b"\x00\x00\x00\xff\x03bad?")

    (parcel,) = fed(method, header, body)

    assert parcel.raw == method + header + body
    assert parcel.said[0].message_id is None


@pytest.mark.parametrize(
    "odd",
    [
        raw_frame(1, struct.pack(">HH", 99, 99)),
        raw_frame(1, b""),
        raw_frame(2, b"\x00"),
        raw_frame(3, b"body without a header"),
        b"GET / HTTP/1.1\r\n\r\n",
        b"AMQX",
        struct.pack(">BHI", 1, 1, 2**31),
        raw_frame(1, b"\x00\x0a\x00\x0b")[:-1] + b"!",
        b"\x16\x03\x01\x02\x00",
    ],
)
def test_what_is_no_amqp_passes_as_it_is(odd: bytes) -> None:
    method = publish()[0]
    tap = Tap(7)

    parcels = tap.parcels("to_server", method) + tap.parcels("to_server", odd) + tap.rest("to_server")

    assert b"".join(parcel.raw for parcel in parcels) == method + odd


def test_after_bytes_out_of_place_nothing_is_waited_for() -> None:
    tap = Tap(7)
    tap.parcels("to_server", b"?")

    assert [parcel.raw for parcel in tap.parcels("to_server", b"\x01\x00")] == [b"\x01\x00"]


def test_at_the_end_the_rest_passes() -> None:
    method, header, body = publish()
    tap = Tap(7)

    assert tap.parcels("to_server", method + header + body[:-1]) == []
    assert [parcel.raw for parcel in tap.rest("to_server")] == [method + header + body[:-1]]
    assert tap.rest("to_server") == []
