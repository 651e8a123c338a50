"""AMQP 0-9-1 as bytes: cut into frames, and what a method and a content header say. Nothing here ever raises."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pamqp import base, commands
from pamqp.header import ContentHeader

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
HEARTBEAT: Final = 8
NO_FRAME: Final = 0  # the protocol header, and what is no AMQP at all

_KINDS: Final = frozenset({METHOD, HEADER, BODY, HEARTBEAT})
_GREETING: Final = b"AMQP"
_GREETING_BYTES: Final = 8
_HEAD_BYTES: Final = 7
_FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
_END: Final = 0xCE
_DELIVERY_COUNT: Final = "x-delivery-count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame and the bytes it came as."""

    kind: int
    channel: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        """What stands between the frame's head and its end."""
        return self.raw[_HEAD_BYTES:-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Of a content header: how many bytes of body follow, three properties, None where they cannot be read, and
    how often a quorum queue had delivered the message before.
    """

    body_bytes: int
    message_id: str | None
    correlation_id: str | None
    reply_to: str | None = None
    delivery_count: int = 0


class FrameReader:
    """Cuts what comes one way into frames. After a byte that is out of place all is one piece."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_lost = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Add bytes, and yield the frames that are whole now."""
        self._buffer += data
        while self._buffer and (length := self._length()) <= len(self._buffer):
            raw = bytes(self._buffer[:length])
            del self._buffer[:length]
            is_frame = not self._is_lost and not raw.startswith(_GREETING)
            yield Frame(
                kind=raw[0] if is_frame else NO_FRAME,
                channel=int.from_bytes(raw[1:3]) if is_frame else 0,
                raw=raw,
            )

    def rest(self) -> bytes:
        """Return what is no whole frame yet, and forget it."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _length(self) -> int:
        """How long the next piece is; until its head is whole, more than there is."""
        if not self._is_lost and _GREETING.startswith(self._buffer[: len(_GREETING)]):
            return _GREETING_BYTES
        length = _HEAD_BYTES + int.from_bytes(self._buffer[3:_HEAD_BYTES]) + 1
        self._is_lost = self._is_lost or self._is_out_of_place(length)
        return len(self._buffer) if self._is_lost else max(length, _HEAD_BYTES + 1)

    def _is_out_of_place(self, length: int) -> bool:
        buffer = self._buffer
        if len(buffer) < _HEAD_BYTES:
            return buffer[0] not in _KINDS
        is_whole = length <= len(buffer)
        return buffer[0] not in _KINDS or length > _FRAME_BYTES_MAX or (is_whole and buffer[length - 1] != _END)


def read_method(payload: bytes) -> base.Frame | None:
    """Return a method with as many of its arguments as could be read; None for one that is not known."""
    known = commands.INDEX_MAPPING.get(int.from_bytes(payload[:4]))
    if known is None:
        return None
    method: base.Frame = known()
    try:
        method.unmarshal(payload[4:])
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes provoke; what came before them has been set
        return method
    return method


def read_header(payload: bytes) -> Header:
    """Return what a content header says."""
    header, body_bytes = ContentHeader(), int.from_bytes(payload[4:12])
    try:
        header.unmarshal(payload)
        told = header.properties
        count = (told.headers or {}).get(_DELIVERY_COUNT)
        return Header(
            body_bytes=body_bytes,
            message_id=told.message_id,
            correlation_id=told.correlation_id,
            reply_to=told.reply_to,
            delivery_count=count if isinstance(count, int) else 0,
        )
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes provoke
        return Header(body_bytes=body_bytes, message_id=None, correlation_id=None)
