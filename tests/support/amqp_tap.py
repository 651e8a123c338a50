"""Reads along on one AMQP connection: who it is, what is said, and which publishes wait for their confirms."""

import time
from dataclasses import dataclass, field
from typing import Final

from pamqp import base

from tests.support.amqp_frames import (
    BODY,
    HEADER,
    HEARTBEAT,
    METHOD,
    Frame,
    FrameReader,
    Header,
    read_header,
    read_method,
)
from tests.support.parcel import Parcel
from tests.support.said import CONFIRMS, Direction, Said

_WITH_CONTENT: Final = frozenset({"Basic.Publish", "Basic.Deliver", "Basic.Return", "Basic.GetOk"})
_NO_CONTENT: Final = Header(body_bytes=0, message_id=None, correlation_id=None)


@dataclass(slots=True, kw_only=True)
class _Content:
    """A method whose content is on its way."""

    method: base.Frame
    header: Header = _NO_CONTENT
    left_bytes: int | None = None  # not known before the header is there


@dataclass(slots=True)
class _Confirms:
    """A channel in confirm mode: the server counts its publishes, and so do we."""

    last_tag: int = 0
    waiting: dict[int, None] = field(default_factory=dict)  # in order

    def publish(self) -> int:
        self.last_tag += 1
        self.waiting[self.last_tag] = None
        return self.last_tag

    def settle(self, tag: int, *, multiple: bool) -> tuple[int, ...]:
        if multiple:
            settled = tuple(one for one in self.waiting if one <= tag or tag == 0)
        else:
            settled = (tag,) if tag in self.waiting else ()
        for one in settled:
            del self.waiting[one]
        return settled


@dataclass(slots=True)
class _Reading:
    """One direction: what has been read and not yet been made a parcel of."""

    frames: FrameReader = field(default_factory=FrameReader)
    contents: dict[int, _Content] = field(default_factory=dict)
    raw: bytearray = field(default_factory=bytearray)
    said: list[Said] = field(default_factory=list)
    confirmed: tuple[int, ...] = ()

    def parcel(self, channel: int) -> Parcel:
        parcel = Parcel(
            raw=bytes(self.raw),
            at_s=time.monotonic(),
            said=tuple(self.said),
            confirmed=self.confirmed,
            channel=channel,
        )
        self.raw.clear()
        self.said.clear()
        self.confirmed = ()
        return parcel


class Tap:
    """Makes parcels of what comes. What it cannot read goes on all the same, and is not said."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.name = ""
        self._confirms: dict[int, _Confirms] = {}
        self._readings: dict[Direction, _Reading] = {"to_server": _Reading(), "to_client": _Reading()}

    def parcels(self, direction: Direction, data: bytes) -> list[Parcel]:
        """Read what came, and return what is whole."""
        reading = self._readings[direction]
        whole: list[Parcel] = []
        for frame in reading.frames.feed(data):
            reading.raw += frame.raw
            if (method := _method_that_is_whole(reading, frame)) is not None:
                self._note(direction, reading, frame.channel, method)
            if not reading.contents:
                whole.append(reading.parcel(frame.channel))
        return whole

    def rest(self, direction: Direction) -> list[Parcel]:
        """Return what never became whole, at the end."""
        reading = self._readings[direction]
        reading.raw += reading.frames.rest()
        return [reading.parcel(0)] if reading.raw else []

    def _note(self, direction: Direction, reading: _Reading, channel: int, content: _Content) -> None:
        method = content.method
        tag = _tag(method)
        if direction == "to_server":
            tag = self._next_tag(channel) if method.name == "Basic.Publish" else tag
            self._follow(channel, method)
        elif method.name in CONFIRMS and channel in self._confirms:
            reading.confirmed += self._confirms[channel].settle(tag or 0, multiple=_is_multiple(method))
        reading.said.append(self._said(direction, channel, content, tag))

    def _said(self, direction: Direction, channel: int, content: _Content, tag: int | None) -> Said:
        method = content.method
        return Said(
            at_s=time.monotonic(),
            number=self._number,
            connection=self.name,
            channel=channel,
            direction=direction,
            method=method.name,
            delivery_tag=tag,
            multiple=_is_multiple(method),
            message_id=content.header.message_id,
            exchange=getattr(method, "exchange", None),
            routing_key=getattr(method, "routing_key", None),
            correlation_id=content.header.correlation_id,
            reply_to=content.header.reply_to,
            delivery_count=content.header.delivery_count,
        )

    def _next_tag(self, channel: int) -> int | None:
        confirms = self._confirms.get(channel)
        return confirms.publish() if confirms is not None else None

    def _follow(self, channel: int, method: base.Frame) -> None:
        """Keep up with what the client makes of its connection."""
        if method.name == "Connection.StartOk":
            properties = getattr(method, "client_properties", None) or {}
            self.name = str(properties.get("connection_name", ""))
        elif method.name == "Channel.Open":
            self._confirms.pop(channel, None)
        elif method.name == "Confirm.Select":
            self._confirms.setdefault(channel, _Confirms())


def _method_that_is_whole(reading: _Reading, frame: Frame) -> _Content | None:
    """Take in a frame; return the method that it completes, with its content if it has one."""
    if frame.kind == METHOD:
        return _begin(reading, frame)
    content = reading.contents.get(frame.channel)
    if content is not None and frame.kind == HEADER:
        content.header = read_header(frame.payload)
        content.left_bytes = content.header.body_bytes
    elif content is not None and frame.kind == BODY and content.left_bytes is not None:
        content.left_bytes -= len(frame.payload)
    elif frame.kind != HEARTBEAT:
        reading.contents.clear()  # this is no AMQP: wait for no end of it
    if content is None or content.left_bytes is None or content.left_bytes > 0:
        return None
    return reading.contents.pop(frame.channel, None)


def _begin(reading: _Reading, frame: Frame) -> _Content | None:
    reading.contents.pop(frame.channel, None)  # a channel that is closed drops what was on its way
    method = read_method(frame.payload)
    if method is None:
        return None
    content = _Content(method=method)
    if method.name not in _WITH_CONTENT:
        return content
    reading.contents[frame.channel] = content
    return None


def _tag(method: base.Frame) -> int | None:
    tag = getattr(method, "delivery_tag", None)
    return tag if isinstance(tag, int) else None


def _is_multiple(method: base.Frame) -> bool:
    return bool(getattr(method, "multiple", False))
