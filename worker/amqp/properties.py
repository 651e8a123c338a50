"""The content header of a delivery, as pamqp would read it, in a fraction of its time.

pamqp asks for each property's name, type and decoder anew, and copies what is left behind each of them. Here that
is looked up once for all messages that have the same properties. A test compares the two for any bytes.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from pamqp import decode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.amqp import guard

_HEAD: Final = struct.Struct(">HHQH")  # class, weight, body size, property flags (AMQP 0-9-1, section 4.2.6.1)
_MORE_FLAGS: Final = 1
_SHORT_TEXT: Final = "shortstr"

_Field = tuple[str, Callable[[bytes], tuple[int, Any]] | None]  # name, and what reads it; None: a short text


def read_header(payload: bytes) -> tuple[int, Basic.Properties]:
    """Return a content header's body size and properties; `guard.Undecodable` ones say why they are.

    Raises struct.error where there is not even a body size.
    """
    try:
        return _read(payload)
    except Exception:  # noqa: BLE001 - whatever is odd about it, pamqp and the guard decide what it means
        header = ContentHeader()
        guard.unmarshal_header(header, payload)
        return header.body_size, header.properties


def _read(payload: bytes) -> tuple[int, Basic.Properties]:
    if len(payload) > guard.HEADER_BYTES_MAX:
        raise ValueError("large")
    _, _, body_size, flags = _HEAD.unpack_from(payload)
    values: dict[str, Any] = {}
    at = _HEAD.size
    for name, read in _fields(flags):
        if read is None:
            start, at = at + 1, at + 1 + payload[at]
            values[name] = payload[start:at].decode()
        else:
            used, values[name] = read(payload[at:])
            at += used
    if at > len(payload):
        raise ValueError("cut off")
    return body_size, Basic.Properties(**values)


@lru_cache(maxsize=64)
def _fields(flags: int) -> tuple[_Field, ...]:
    if flags & _MORE_FLAGS:
        raise ValueError("more flags")
    types = {name: Basic.Properties.amqp_type(name) for name in Basic.Properties.attributes()}
    return tuple(
        (name, None if kind == _SHORT_TEXT else decode.METHODS[kind])
        for name, kind in types.items()
        if flags & Basic.Properties.flags[name]
    )
