"""Lets the connection live when a message comes whose properties cannot be decoded.

pamqp decodes properties eagerly in the connection's reader, and RabbitMQ passes on whatever a publisher wrote: a
header table nested 500 levels, a key that is not UTF-8, a timestamp in microseconds. Each of them would end the
connection, and, because the message is delivered again, every connection after it. The same holds for a routing
key that is not UTF-8. With the guard such a message arrives like any other, with empty properties that say why.
"""

import struct
from typing import Any, Final

from pamqp import commands, decode
from pamqp.header import ContentHeader

HEADER_BYTES_MAX: Final = 16 * 1024  # decoding a large table is quadratic: 128 KiB held the loop for 74 ms

_FIXED: Final = struct.Struct(">HHQ")  # class id, weight, body size (AMQP 0-9-1, section 4.2.6.1)


class Undecodable(commands.Basic.Properties):
    """Empty properties in the place of those that could not be decoded, and why."""

    __slots__ = ["reason"]

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


_original_unmarshal: Final = ContentHeader.unmarshal


def install() -> None:
    """Replace the three decoders; pinned by a test that sends the raw poisons. Idempotent."""
    ContentHeader.unmarshal = unmarshal_header  # type: ignore[method-assign, assignment]
    commands.Basic.Deliver.unmarshal = _unmarshal_deliver  # type: ignore[method-assign, assignment]
    commands.Basic.GetOk.unmarshal = _unmarshal_get_ok  # type: ignore[method-assign, assignment]


def unmarshal_header(header: ContentHeader, data: bytes) -> None:
    """Decode a content header; never raise for what a publisher put into the properties."""
    header.class_id, header.weight, header.body_size = _FIXED.unpack(data[: _FIXED.size])
    if len(data) > HEADER_BYTES_MAX:
        header.properties = Undecodable(f"{len(data)} bytes of properties; at most {HEADER_BYTES_MAX} are read")
        return
    try:
        _original_unmarshal(header, data)
    except Exception as error:  # noqa: BLE001 - the delivery's boundary: whatever a stranger's bytes provoke
        header.properties = Undecodable(type(error).__name__)


def _unmarshal_deliver(frame: Any, data: bytes) -> None:
    """Decode Basic.Deliver (AMQP 0-9-1, class 60 method 60) with a routing key of any bytes."""
    used, frame.consumer_tag = decode.short_str(data)
    _unmarshal_delivered(frame, data[used:])


def _unmarshal_get_ok(frame: Any, data: bytes) -> None:
    """Decode Basic.GetOk (method 71) so too: whoever looks at dead letters may ask for them one by one."""
    (frame.message_count,) = struct.unpack(">I", _unmarshal_delivered(frame, data))


def _unmarshal_delivered(frame: Any, data: bytes) -> bytes:
    """Decode what the two have in common, and return what is behind it."""
    frame.delivery_tag, redelivered = struct.unpack_from(">QB", data)
    frame.redelivered = bool(redelivered & 1)
    frame.exchange, rest = _short_text(data[9:])
    frame.routing_key, rest = _short_text(rest)
    return rest


def _short_text(data: bytes) -> tuple[str, bytes]:
    end = 1 + int.from_bytes(data[:1])
    return data[1:end].decode("utf-8", "replace"), data[end:]
