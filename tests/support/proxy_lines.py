"""Some of the connections through a proxy, and what can be done to them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tests.support.line_faults import Board, Effect, Fault, Side, Whom, directions_of
from tests.support.proxy_line import Line
from tests.support.said import Said
from tests.support.wire_trigger import FROZEN, Hold, Trigger

WITHIN_S: Final = 60.0


class Lines:
    """Connections through a proxy, those to come among them. A fault stays until it is removed, or until `heal`.

    Each fault is for what goes `to_server`, what goes `to_client`, or both; `acted` of what is returned is set
    when it has done something.
    """

    def __init__(self, board: Board, lines: Mapping[int, Line], whom: Whom, *, is_tapped: bool) -> None:
        self._board, self._lines, self._whom, self._is_tapped = board, lines, whom, is_tapped

    def of(self, kind: str) -> "Lines":
        """Those whose connection name is this or ends with it, as "publish" is the end of "worker-1 publish"."""
        self._need_tap()
        return self._fewer(replace(self._whom, kind=kind))

    def number(self, *numbers: int) -> "Lines":
        """Those that were accepted as these, counted from 0."""
        return self._fewer(replace(self._whom, numbers=frozenset(numbers)))

    def present(self) -> "Lines":
        """Those that are open now."""
        return self.number(*(line.number for line in self._open()))

    @property
    def names(self) -> dict[int, str]:
        """The open connections' names by their numbers; "" where none is known."""
        return {line.number: line.reading.name for line in self._open()}

    def passed_bytes(self, side: Side = "both") -> int:
        """How many bytes have passed on the open connections."""
        ways = (way for line in self._open() for way in line.ways)
        return sum(way.passed_bytes for way in ways if way.direction in directions_of(side))

    def delay(self, latency_s: float, side: Side = "both") -> Fault:
        """Have each byte come so much later, and as many of them."""
        return self._add(side, Effect(latency_s=latency_s))

    def freeze(self, side: Side = "both") -> Fault:
        """Pass nothing on, no end either. What is held back goes on when it thaws."""
        return self._add(side, FROZEN)

    def thaw(self) -> None:
        """Undo every `freeze` of these lines; for all of them, each."""
        self._board.remove_all(self._whom, having=lambda effect: effect.latency_s == math.inf)

    def swallow(self, side: Side = "both") -> Fault:
        """Be a black hole: take everything, and pass nothing on, no end either. The lines stay open.

        A line that has lost something that way loses the rest too, for no TCP stream has a hole in its middle;
        the fault removed, new ones work, and so do those on which nothing was said meanwhile.
        """
        return self._add(side, Effect(loses=True))

    def slice(self, size_bytes: int = 1, side: Side = "both") -> Fault:
        """Pass everything on in slices, each a packet of its own."""
        return self._add(side, Effect(slice_bytes=size_bytes))

    def cut_after(self, count_bytes: int, side: Side = "both", *, once: bool = False) -> Fault:
        """Break each line as soon as so many bytes more have passed on it, in one direction of those named.

        With 0, before the first. Who was sent them reads them and then the end, and who sent them is reset. With
        `once` it does that to one line and is removed.
        """
        fault = self._fault(side, Effect(cut_after_bytes=count_bytes, once=once))
        for line in self._lines.values():
            for way in line.ways:
                fault.passed_before[line.number, way.direction] = way.passed_bytes
        return self._board.add(fault)

    def refuse(self) -> Fault:
        """Reset new connections: where a kind is meant, when they say their name, else when they come."""
        return self._add("both", Effect(refuses=True))

    def part_confirms(self) -> Fault:
        """Have the confirm of many publishes pass as a confirm for each, as the server might have sent it."""
        self._need_tap()
        return self._add("to_client", Effect(parts_confirms=True))

    def heal(self) -> None:
        """Remove every fault of these lines; for all of them, each, and let go what a trigger holds."""
        self._board.remove_all(self._whom)

    def cut(self, side: Side = "both") -> None:
        """Reset the open connections, at once: what was on its way is lost. A party that is spared hears nothing
        more and keeps half of a connection.
        """
        for line in self._open():
            line.cut(side)

    def hang_up(self, side: Side = "both") -> None:
        """Close the open connections without a reset: what was on its way that way is lost."""
        for line in self._open():
            line.hang_up(side)

    def when(
        self,
        matches: Callable[[Said], bool],
        *,
        count: int = 1,
        hold: Hold | None = None,
        within_s: float = WITHIN_S,
    ) -> Trigger:
        """Watch from now on for what matches; await the result for its `count`-th time, which raises TimeoutError.

        A method counts when the last byte of its content has passed. With `hold="rest"` nothing follows it in its
        direction on any of these lines, with `hold="this"` it is held itself, until the test has the result
        `release` it; or has these lines `cut`, by which it is lost.
        """
        self._need_tap()
        return Trigger(self._board, self._whom, matches=matches, count=count, hold=hold, within_s=within_s)

    def _open(self) -> list[Line]:
        return [line for line in self._lines.values() if self._whom.has(line.number, line.reading.name)]

    def _add(self, side: Side, effect: Effect) -> Fault:
        return self._board.add(self._fault(side, effect))

    def _fault(self, side: Side, effect: Effect) -> Fault:
        return Fault(whom=self._whom, directions=directions_of(side), effect=effect, board=self._board)

    def _fewer(self, whom: Whom) -> "Lines":
        return Lines(self._board, self._lines, whom, is_tapped=self._is_tapped)

    def _need_tap(self) -> None:
        if not self._is_tapped:
            raise ValueError("this proxy does not read along: give it is_tapped=True")
