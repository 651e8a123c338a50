"""The short way past aiormq: deliveries to a consumer that wants them at once, and confirms.

aiormq's books stay the only ones: who consumes is in `Channel.consumers`, who waits for a confirm in
`Channel.confirmations`. tests/contract/test_reading.py pins what is used here.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import InvalidFrameError
from pamqp.commands import Basic
from pamqp.constants import FRAME_BODY, FRAME_HEADER, FRAME_METHOD

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.properties import read_header

_DELIVER: Final = struct.pack(">HH", 60, 60)  # class and method (AMQP 0-9-1, section 4.2.4 and its XML)
_ACK: Final = struct.pack(">HH", 60, 80)
_NACK: Final = struct.pack(">HH", 60, 120)
_CHANNEL_CLOSE: Final = struct.pack(">HH", 20, 40)
_TAG: Final = struct.Struct(">QB")  # delivery tag, bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Straight:
    """A consumer's callback for `Channel.basic_consume`, to be called from within the reading of the socket.

    It has each delivery of its consumer in order, and before anything that the broker said later. It must not
    raise, or the connection ends. Where nobody knows of the short way, aiormq calls it as any other.
    """

    take: Callable[[AmqpDelivery], None]

    def __call__(self, message: DeliveredMessage) -> None:
        """Take it as aiormq gives it."""
        self.take(AmqpDelivery.of(message))


@dataclass(slots=True, kw_only=True, eq=False)
class _Half:
    """A delivery of which not everything has come."""

    channel: Channel
    take: Callable[[AmqpDelivery], None]
    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    properties: Basic.Properties | None = None
    missing_bytes: int = 0
    parts: list[bytes] = field(default_factory=list)

    def add(self, kind: int, payload: bytes) -> bool:
        """Add a frame; tell whether it was the last one. Raises InvalidFrameError, struct.error."""
        if kind == FRAME_HEADER and self.properties is None:
            self.missing_bytes, self.properties = read_header(payload)
        elif kind == FRAME_BODY and self.properties is not None and payload:
            self.parts.append(payload)
            self.missing_bytes -= len(payload)
        else:
            raise InvalidFrameError(f"a frame of type {kind} and {len(payload)} bytes in the middle of a delivery")
        return self.missing_bytes <= 0

    def hand_over(self) -> None:
        """Give it to its consumer; on a channel that is closed it is nobody's any more, and comes again."""
        if self.properties is not None and not self.channel.is_closed:
            self.take(
                AmqpDelivery(
                    tag=self.tag,
                    exchange=self.exchange,
                    routing_key=self.routing_key,
                    redelivered=self.redelivered,
                    properties=self.properties,
                    body=self.parts[0] if len(self.parts) == 1 else b"".join(self.parts),
                )
            )


class Shortcut:
    """Takes what it can from a connection's frames. `channels` are the connection's, by their numbers."""

    def __init__(self) -> None:
        self.channels: Mapping[int, AbstractChannel | None] = {}
        self._halves: dict[int, _Half] = {}

    def take(self, kind: int, number: int, payload: bytes, *, is_next: bool) -> bool:
        """Take a frame, or tell that it is aiormq's. `is_next`: aiormq has read all that came before.

        Raises InvalidFrameError where the connection cannot go on: part of a delivery is lost, or nonsense.
        """
        half = self._halves.get(number)
        try:
            if half is not None:
                return self._complete(half, kind, number, payload)
            if kind == FRAME_METHOD:
                method = payload[:4]
                if method == _DELIVER:
                    return self._begin(number, payload)
                if is_next and method in {_ACK, _NACK}:
                    return self._confirm(number, payload, is_ack=method == _ACK)
        except (struct.error, IndexError, UnicodeDecodeError) as error:
            raise InvalidFrameError(f"a frame of type {kind} that cannot be read: {error}") from error
        return False

    def _begin(self, number: int, payload: bytes) -> bool:
        channel = cast("Channel | None", self.channels.get(number))
        end = 5 + payload[4]
        if channel is None or (callback := channel.consumers.get(payload[5:end].decode())) is None:
            return False
        straight = getattr(callback, "__wrapped__", None)
        if not isinstance(straight, Straight):
            return False
        tag, bits = _TAG.unpack_from(payload, end)
        key = end + 10 + payload[end + 9]
        self._halves[number] = _Half(
            channel=channel,
            take=straight.take,
            tag=tag,
            redelivered=bool(bits & 1),
            exchange=payload[end + 10 : key].decode("utf-8", "replace"),
            routing_key=payload[key + 1 : key + 1 + payload[key]].decode("utf-8", "replace"),
        )
        return True

    def _complete(self, half: _Half, kind: int, number: int, payload: bytes) -> bool:
        if kind == FRAME_METHOD and payload[:4] == _CHANNEL_CLOSE:  # which says itself why there is no more of it
            del self._halves[number]
            return False
        if half.add(kind, payload):
            del self._halves[number]
            half.hand_over()
        return True

    def _confirm(self, number: int, payload: bytes, *, is_ack: bool) -> bool:
        """End the publishes that were confirmed, in aiormq's name. A return goes before its confirm, and is
        aiormq's: so only where aiormq has nothing of the channel in hand.
        """
        channel = cast("Channel | None", self.channels.get(number))
        tag, bits = _TAG.unpack_from(payload, 4)
        if channel is None or tag not in channel.confirmations or not channel.frames.empty():
            return False
        is_multiple = bool(bits & 1)
        frame = Basic.Ack(tag, is_multiple) if is_ack else Basic.Nack(tag, is_multiple, bool(bits & 2))
        if is_multiple:  # aiormq puts those off by a callback each: one that it has begun to tell goes before ours
            asyncio.get_running_loop().call_soon(_confirm_up_to, channel, tag, frame)
        else:
            channel._confirm_delivery(tag, frame)  # noqa: SLF001 - pinned by the contract test
        return True


def _confirm_up_to(channel: Channel, tag: int, frame: Basic.Ack | Basic.Nack) -> None:
    for one in [known for known in channel.confirmations if known <= tag]:
        channel._confirm_delivery(one, frame)  # noqa: SLF001 - pinned by the contract test
