"""What there is to see: the streams as the subscriber knows them, the latest lines, the worker, the clock."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from devtools.demo.acts import Part
from devtools.demo.ledger import Fact, Ledger
from schemas import EventName


class Mood(Enum):
    """What a line is about; those further down matter more."""

    EVENT = 1
    ODD = 2
    HOSTILE = 3
    NEWS = 4
    GOOD = 5
    BAD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the feed: when, who, and what happened."""

    at_s: float
    who: str
    text: str
    mood: Mood


class WorkerState(Enum):
    """What the worker does now, in a word."""

    STARTING = "starts"
    READY = "is up"
    KILLED = "is killed"


class DeviceState(Enum):
    """What a device does now, in a word."""

    NOT_YET = "not there yet"
    STREAMING = "streaming"
    STOPPED = "stopped"
    WAITING = "waiting"
    HOSTILE = "hostile"


@dataclass(slots=True, kw_only=True)
class Board:
    """All of it. It changes while the demo runs; whoever draws it only reads. `on_line` is told of each line."""

    parts: Sequence[Part]
    seconds: float
    on_line: Callable[[Line], None] = lambda _: None
    ledger: Ledger = field(default_factory=Ledger)
    streams: dict[str, Fact] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    worker: WorkerState = WorkerState.STARTING
    gone_at_s: float | None = None
    gone_with: int = 0
    back_at_s: float | None = None
    began_s: float | None = None
    ended_s: float | None = None

    def begin(self) -> None:
        """Start the clock."""
        self.began_s = time.monotonic()

    def end(self) -> None:
        """Stop the clock."""
        self.ended_s = time.monotonic()

    @property
    def now_s(self) -> float:
        """The seconds since the beginning, 0 before it."""
        if self.began_s is None:
            return 0.0
        return (self.ended_s or time.monotonic()) - self.began_s

    def is_away(self, at_s: float) -> bool:
        """Whether the worker was dead or not yet back at a moment."""
        return self.gone_at_s is not None and self.gone_at_s <= at_s <= (self.back_at_s or at_s)

    def note(self, fact: Fact) -> bool:
        """Show a stream as an event has it, the latest last; tell whether that is news."""
        before = self.streams.get(fact.device_id)
        if before is not None and fact.sequence <= before.sequence:
            return False
        self.streams.pop(fact.device_id, None)
        self.streams[fact.device_id] = fact
        return True

    def tell(self, who: str, text: str, mood: Mood) -> None:
        """Add a line to the feed."""
        self.lines.append(Line(at_s=self.now_s, who=who, text=text, mood=mood))
        self.on_line(self.lines[-1])

    @property
    def remarks(self) -> Sequence[str]:
        """What there is to say of the worker's death, if it came to that."""
        if self.gone_at_s is None:
            return []
        back = "" if self.back_at_s is None else f" and was back after {self.back_at_s - self.gone_at_s:.1f} s"
        return [f"The worker was killed with {self.gone_with} commands in hand{back}."]

    def states(self) -> Mapping[str, DeviceState]:
        """Return what each device does now, in the order of the cast."""
        waiting = {asked.device_id for asked in self.ledger.waiting.values()}
        return {part.device_id: self._state(part, waiting) for part in self.parts}

    def _state(self, part: Part, waiting: set[str]) -> DeviceState:
        fact = self.streams.get(part.device_id)
        if part.is_hostile:
            return DeviceState.HOSTILE
        if part.device_id in waiting:
            return DeviceState.WAITING
        if fact is None:
            return DeviceState.NOT_YET
        return DeviceState.STREAMING if fact.kind == EventName.CREATED else DeviceState.STOPPED
