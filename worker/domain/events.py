"""Facts that already happened. An event is never rewritten, and the same fact always has the same id."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from worker.domain.stream import Stream

_EVENT_IDS: Final = UUID("6f0d4f0e-52a5-5bb0-9d0c-0e0d6c2b7a11")
_TIME: Final = (1 << 48) - 1 << 80  # where a UUIDv7 says when
_VERSION: Final = 0xF << 76
_VERSION_8: Final = 8 << 76


class EventType(StrEnum):
    """The names of our facts on the wire."""

    CREATED = "stream.created"
    STOPPED = "stream.stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEvent:
    """One change of one stream: the stream as the change left it.

    `sequence` counts the device's events over all its streams, 1, 2, … without a gap.
    """

    type: EventType
    stream: Stream
    sequence: int
    at: datetime

    @property
    def id(self) -> UUID:
        """The fact's identity: made from the stream and its version, so it is the same whoever says it.

        It begins with the time that the stream's id begins with, and so new ones stand side by side in the
        database's index, not each on a page of its own (UUIDv8; RFC 9562, section 5.8).
        """
        name = uuid5(_EVENT_IDS, f"{self.stream.id}:{self.stream.version}").int
        return UUID(int=self.stream.id.int & _TIME | name & ~(_TIME | _VERSION) | _VERSION_8)
