"""What the bytes say. Written against the contract by hand: a judge does not borrow the eyes of the judged."""

import json
from dataclasses import dataclass
from typing import Any, Final

CHANGES: Final = {"created": "stream.created", "stopped": "stream.stopped"}
"""The outcomes that change something, and the event of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream as a reply or an event shows it."""

    id: str
    device_id: str
    code: str
    status: str
    created_at: str
    stopped_at: str | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a reply says: an outcome and a stream, or the code of a problem and no stream."""

    word: str
    stream: Stream | None = None
    is_retryable: bool = False

    @property
    def is_change(self) -> bool:
        """Whether it speaks of an effect."""
        return self.word in CHANGES


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What an event says. Its time is that of the change, and may be left to the stream to say."""

    id: str
    type: str
    sequence: int
    cause: str | None
    time: str | None
    stream: Stream

    @property
    def changed_at(self) -> str | None:
        """When its stream became what it shows, as the stream says it."""
        return self.stream.created_at if self.type == "stream.created" else self.stream.stopped_at


def read_told(body: bytes) -> Told:
    """Read a reply. What cannot be read says "unreadable"."""
    try:
        content: dict[str, Any] = json.loads(body)
        if "outcome" in content:
            return Told(word=str(content["outcome"]), stream=_stream(content["stream"]))
        return Told(word=str(content["code"]), is_retryable=bool(content["retryable"]))
    except (ValueError, KeyError, TypeError):
        return Told(word="unreadable")


def read_fact(body: bytes) -> Fact | None:
    """Read an event; None where it is none."""
    try:
        content: dict[str, Any] = json.loads(body)
        return Fact(
            id=content["id"],
            type=content["type"],
            sequence=int(content["sequence"]),
            cause=content.get("causationid"),
            time=content.get("time"),
            stream=_stream(content["data"]["stream"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def read_named(body: bytes) -> str | None:
    """Read what a command is about: a device's id, or a stream's id or code; None where it names nothing."""
    try:
        content: dict[str, Any] = json.loads(body)
        return str(next(content[name] for name in ("device_id", "stream_id", "code") if name in content))
    except (ValueError, TypeError, StopIteration, RecursionError):
        return None


def _stream(content: dict[str, Any]) -> Stream:
    return Stream(**{name: content[name] for name in Stream.__slots__})
