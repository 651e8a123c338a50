"""Lets the connection live when a message comes whose properties, or routing key, cannot be decoded.

pamqp decodes them in the connection's reader, and RabbitMQ passes on whatever a publisher wrote: a table nested
600 levels, a name that is not UTF-8. Each would end the connection, and, because the message comes again, every
one after it. So what cannot be decoded is blanked on its way in: the message arrives without it, like any other.
"""

import asyncio
from typing import Final

from pamqp.constants import FRAME_HEADER, FRAME_HEADER_SIZE, FRAME_METHOD
from pamqp.header import ContentHeader

PROPERTIES_BYTES_MAX: Final = 16 * 1024  # decoding a large table is quadratic; the worker sends nothing near it

_FIXED_BYTES: Final = 12  # class id, weight, body size (AMQP 0-9-1, section 4.2.6.1)
_DELIVER: Final = b"\x00\x3c\x00\x3c"  # class 60, method 60
_TAG_BYTES: Final = 9  # delivery tag, redelivered
_UNKNOWN: Final = ord("?")


class GuardedReader:
    """What aiormq asks of a stream: a frame's head, then what is in it and the byte that ends it."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._head = b""

    def at_eof(self) -> bool:
        """Whether there is no more."""
        return self._reader.at_eof()

    async def read(self) -> bytes:
        """Return all that is left."""
        return await self._reader.read()

    async def readexactly(self, n: int) -> bytes:
        """Return the next so many bytes."""
        data = await self._reader.readexactly(n)
        if len(self._head) < FRAME_HEADER_SIZE:
            self._head += data
            return data
        kind, self._head = self._head[0], b""
        return harmless(kind, data)


def harmless(kind: int, frame: bytes) -> bytes:
    """Return what stands in a frame, as long as it was, and without what cannot be decoded."""
    if kind == FRAME_HEADER and not _is_decodable(frame[:-1]):
        return frame[:_FIXED_BYTES] + bytes(len(frame) - _FIXED_BYTES - 1) + frame[-1:]
    if kind == FRAME_METHOD and frame.startswith(_DELIVER):
        exchange = len(_DELIVER) + 1 + frame[len(_DELIVER)] + _TAG_BYTES
        key = exchange + 1 + frame[exchange] + 1
        return frame[:key] + _text(frame[key:-1]) + frame[-1:]
    return frame


def _is_decodable(header: bytes) -> bool:
    if len(header) > PROPERTIES_BYTES_MAX:
        return False
    try:
        ContentHeader().unmarshal(header)
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes provoke
        return False
    return True


def _text(key: bytes) -> bytes:
    try:
        key.decode()
    except UnicodeDecodeError:
        return bytes(byte if byte < 0x80 else _UNKNOWN for byte in key)  # noqa: PLR2004 - where ASCII ends
    return key
