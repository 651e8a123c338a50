"""AMQP by hand: header frames that no library would write, and a publisher that sends them.

The numbers of frames, classes and methods are those of AMQP 0-9-1, section 4.2 and its XML.
"""

import asyncio
import struct
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

CONTENT_TYPE: Final = 0x8000
HEADERS: Final = 0x2000
TIMESTAMP: Final = 0x0040
TYPE: Final = 0x0020

BASIC: Final = 60

_METHOD: Final = 1
_HEADER: Final = 2
_BODY: Final = 3
_END: Final = b"\xce"
_DEADLINE_S: Final = 60.0


def short(text: bytes) -> bytes:
    """A short string."""
    return bytes([len(text)]) + text


def long(data: bytes) -> bytes:
    """A long string, and how a table begins."""
    return struct.pack(">I", len(data)) + data


def table(*fields: tuple[bytes, bytes]) -> bytes:
    """A table of names and values; a value begins with the letter of its type."""
    return long(b"".join(short(name) + value for name, value in fields))


def text(value: bytes) -> bytes:
    """A long string as a table's value."""
    return b"S" + long(value)


def nested(levels: int) -> bytes:
    """A table in a table, so many times."""
    inner = table()
    for _ in range(levels):
        inner = table((b"a", b"F" + inner))
    return inner


def header(flags: int, *properties: bytes, body_size: int = 0) -> bytes:
    """The payload of a content header frame."""
    return struct.pack(">HHQH", BASIC, 0, body_size, flags) + b"".join(properties)


# Each of these ends the connection of a client that decodes properties as pamqp does. The broker passes them on.
POISONS: Final = {
    "a table nested 600 levels": (HEADERS, nested(600)),
    "a name that is not UTF-8": (HEADERS, table((b"\xff\xfe", text(b"x")))),
    "a timestamp in microseconds": (TIMESTAMP, struct.pack(">Q", 1_768_210_200_123_456)),
    "a timestamp of all ones": (TIMESTAMP, b"\xff" * 8),
    "a type that is not UTF-8": (TYPE, short(b"\xff")),
    "a content type that is not UTF-8": (CONTENT_TYPE, short(b"\xff")),
    "a table nested 5,000 levels": (HEADERS, nested(5_000)),
    "a header as large as a frame": (HEADERS, table(*((b"%07d" % n, b"V") for n in range(14_540)))),
    "a table over 16 KiB": (HEADERS, table(*((b"k%d" % n, text(b"x" * 1_000)) for n in range(17)))),
}


class RawPublisher(AbstractAsyncContextManager["RawPublisher"]):
    """A connection with one channel in confirm mode, over a plain socket."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(_DEADLINE_S):
            self._reader, self._writer = await asyncio.open_connection(self._url.hostname, self._url.port)
            await self._shake_hands()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        async with asyncio.timeout(_DEADLINE_S):
            await self._writer.wait_closed()

    async def publish(
        self, exchange: str, routing_key: bytes, header_payload: bytes, body: bytes, *, mandatory: bool = False
    ) -> None:
        """Publish and wait for the confirm. Raises AssertionError where the broker says anything else."""
        publish = struct.pack(">H", 0) + short(exchange.encode()) + short(routing_key) + bytes([mandatory])
        self._send_method(1, BASIC, 40, publish)
        self._send(_HEADER, 1, header_payload)
        if body:
            self._send(_BODY, 1, body)
        async with asyncio.timeout(_DEADLINE_S):
            assert await self._method() == (BASIC, 80)

    async def _shake_hands(self) -> None:
        self._writer.write(b"AMQP\x00\x00\x09\x01")
        assert await self._method() == (10, 10)
        login = long(f"\x00{self._url.username}\x00{self._url.password}".encode())
        self._send_method(0, 10, 11, table() + short(b"PLAIN") + login + short(b"en_US"))
        assert await self._method() == (10, 30)
        self._send_method(0, 10, 31, struct.pack(">HIH", 1, 131_072, 0))
        self._send_method(0, 10, 40, short(b"/") + short(b"") + b"\x00")
        assert await self._method() == (10, 41)
        self._send_method(1, 20, 10, short(b""))
        assert await self._method() == (20, 11)
        self._send_method(1, 85, 10, b"\x00")
        assert await self._method() == (85, 11)

    def _send_method(self, channel: int, class_id: int, method_id: int, arguments: bytes) -> None:
        self._send(_METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)

    def _send(self, kind: int, channel: int, payload: bytes) -> None:
        self._writer.write(struct.pack(">BHI", kind, channel, len(payload)) + payload + _END)

    async def _method(self) -> tuple[int, int]:
        kind, _, size = struct.unpack(">BHI", await self._reader.readexactly(7))
        payload = await self._reader.readexactly(size + 1)
        assert kind == _METHOD
        class_id, method_id = struct.unpack_from(">HH", payload)
        return class_id, method_id
