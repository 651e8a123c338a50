"""The instant at which something was said for the n-th time, and a line that can be held there."""

import asyncio
from collections.abc import Callable, Generator
from typing import Literal, TypeAlias

from tests.support.line_faults import Board, Effect, Fault, Whom, directions_of
from tests.support.said import Said

Hold: TypeAlias = Literal["this", "rest"]

FROZEN = Effect(latency_s=float("inf"))


class Trigger:
    """Await it. Made by `Lines.when`, which says what it does; it works once."""

    def __init__(
        self,
        board: Board,
        whom: Whom,
        *,
        matches: Callable[[Said], bool],
        count: int,
        hold: Hold | None,
        within_s: float,
    ) -> None:
        self._board, self._whom, self._matches = board, whom, matches
        self._count, self._hold, self._within_s = count, hold, within_s
        self._fired = asyncio.Event()
        self._held: Fault | None = None
        self.heard: list[Said] = []
        board.watches.append(self)

    @property
    def has_fired(self) -> bool:
        return self._fired.is_set()

    def __await__(self) -> Generator[None, None, Said]:
        """Wait for it, and return what made it fire. Raises TimeoutError."""
        return self._until_fired().__await__()

    async def _until_fired(self) -> Said:
        try:
            async with asyncio.timeout(self._within_s):
                await self._fired.wait()
        except TimeoutError as late:
            raise TimeoutError(f"heard {len(self.heard)} of {self._count} in {self._within_s} s") from late
        return self.heard[-1]

    def release(self) -> None:
        """Let what is held go on, and hold nothing any more. May be called at any time, and again."""
        if self in self._board.watches:
            self._board.watches.remove(self)
        if self._held is not None:
            self._held.remove()

    def before(self, said: Said) -> None:
        if self._hold == "this" and self._is_it(said):
            self._fire(said)
            self._fired.set()

    def after(self, said: Said) -> Callable[[], None] | None:
        if self._hold == "this" or not self._is_it(said):
            return None
        self._fire(said)
        return self._fired.set

    def _is_it(self, said: Said) -> bool:
        if self._whom.has(said.number, said.connection) and self._matches(said):
            self.heard.append(said)
            return len(self.heard) == self._count
        return False

    def _fire(self, said: Said) -> None:
        """Hold at once: between this and the next byte that could pass, nobody else runs."""
        self._board.watches.remove(self)
        if self._hold is not None:
            fault = Fault(
                whom=self._whom, directions=directions_of(said.direction), effect=FROZEN, board=self._board
            )
            self._held = self._board.add(fault)
