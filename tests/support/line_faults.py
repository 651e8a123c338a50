"""What is wrong with the lines of a proxy: faults, whom they meet, and who waits for which word."""

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from tests.support.parcel import Parcel
from tests.support.said import Direction, Said

Side: TypeAlias = Literal["to_server", "to_client", "both"]


def directions_of(side: Side) -> frozenset[Direction]:
    return frozenset({"to_server", "to_client"} if side == "both" else {side})


class Place(Protocol):
    """One direction of one connection."""

    number: int
    direction: Direction
    passed_bytes: int

    @property
    def name(self) -> str:
        """What the client calls its connection; "" while that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whom:
    """Which connections: those of these numbers and of this kind. None is whichever."""

    numbers: frozenset[int] | None = None
    kind: str | None = None

    def has(self, number: int, name: str) -> bool:
        """Tell whether a connection is meant; a kind is the last words of its name."""
        is_kind = self.kind is None or name == self.kind or name.endswith(f" {self.kind}")
        return is_kind and (self.numbers is None or number in self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a fault does. Where several faults meet, the worst counts."""

    latency_s: float = 0.0  # inf: nothing passes
    loses: bool = False
    slice_bytes: int | None = None
    cut_after_bytes: int | None = None
    once: bool = False
    refuses: bool = False
    parts_confirms: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Fault:
    """A fault that is on. `acted` is set when it has done something to somebody."""

    whom: Whom
    directions: frozenset[Direction]
    effect: Effect
    board: "Board"
    acted: asyncio.Event = field(default_factory=asyncio.Event)
    passed_before: dict[tuple[int, Direction], int] = field(default_factory=dict)

    def meets(self, place: Place) -> bool:
        return place.direction in self.directions and self.whom.has(place.number, place.name)

    def room_bytes(self, place: Place) -> float:
        """How many more bytes pass before it cuts the line."""
        if self.effect.cut_after_bytes is None:
            return math.inf
        before_bytes = self.passed_before.get((place.number, place.direction), 0)
        return self.effect.cut_after_bytes - (place.passed_bytes - before_bytes)

    def act(self) -> None:
        self.acted.set()
        if self.effect.once:
            self.remove()

    def remove(self) -> None:
        """Take it off; what it held back goes on. May be called again."""
        self.board.remove(self)


class Watch(Protocol):
    """Somebody who waits for a word."""

    def before(self, said: Said) -> None:
        """Hear what is about to pass."""

    def after(self, said: Said) -> Callable[[], None] | None:
        """Hear what has just passed; return what is to be called once it has left the machine."""


class Board:
    """The faults and the watches that are on now, and a bell for whoever waits for them to change."""

    def __init__(self) -> None:
        self.watches: list[Watch] = []
        self._faults: list[Fault] = []
        self._changed = asyncio.Event()

    def add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        self.ring()
        return fault

    def remove(self, fault: Fault) -> None:
        with suppress(ValueError):
            self._faults.remove(fault)
        self.ring()

    def remove_all(self, whom: Whom, *, having: Callable[[Effect], bool] = lambda _: True) -> None:
        """Remove the faults that were set for exactly these; those of all, for everybody."""
        for fault in list(self._faults):
            if whom in (Whom(), fault.whom) and having(fault.effect):
                self.remove(fault)

    def ring(self) -> None:
        """Have everybody who is held back look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, within_s: float) -> None:
        """Wait for the bell, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if within_s == math.inf else within_s):
                await self._changed.wait()

    def having(self, place: Place, effect: Callable[[Effect], object]) -> list[Fault]:
        """Return the faults that do something to one place."""
        return [fault for fault in self._faults if effect(fault.effect) and fault.meets(place)]

    def refuses(self, number: int, name: str) -> bool:
        """Tell whether a connection that has just come, or has just said its name, is not let in."""
        refusing = [fault for fault in self._faults if fault.effect.refuses and fault.whom.has(number, name)]
        for fault in refusing:
            fault.act()
        return bool(refusing)

    def wait_s(self, place: Place, *, since_s: float, now_s: float) -> float:
        """How long something that came at `since_s` is held back from now on."""
        longest_s = 0.0
        for fault in self.having(place, lambda effect: effect.latency_s):
            wait_s = since_s + fault.effect.latency_s - now_s
            if wait_s > 0:
                fault.act()
            longest_s = max(longest_s, wait_s)
        return longest_s

    def loses(self, place: Place) -> bool:
        """Tell whether what comes to a place now is lost."""
        losing = self.having(place, lambda effect: effect.loses)
        for fault in losing:
            fault.act()
        return bool(losing)

    def cuts(self, place: Place) -> bool:
        """Tell whether as much has passed a place as may pass."""
        cutting = [fault for fault in self._faults if fault.meets(place) and fault.room_bytes(place) <= 0]
        for fault in cutting:
            fault.act()
        return bool(cutting)

    def piece_bytes(self, place: Place, bytes_max: int) -> int:
        """How many bytes may pass at once."""
        size: float = bytes_max
        for fault in self.having(place, lambda effect: effect.slice_bytes or effect.cut_after_bytes is not None):
            size = min(size, fault.effect.slice_bytes or bytes_max, fault.room_bytes(place))
            if fault.effect.slice_bytes:
                fault.act()
        return int(size)

    def parts_confirms(self, place: Place) -> bool:
        """Tell whether a confirm of many passes as a confirm for each."""
        return bool(self.having(place, lambda effect: effect.parts_confirms))

    def tell_before(self, parcel: Parcel) -> None:
        for watch in list(self.watches):
            for said in parcel.said:
                watch.before(said)

    def tell_after(self, parcel: Parcel) -> list[Callable[[], None]]:
        told = [watch.after(said) for watch in list(self.watches) for said in parcel.said]
        return [then for then in told if then is not None]
