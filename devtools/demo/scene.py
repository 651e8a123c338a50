"""What all who take part share, the wish to end before its time among it."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from devtools.demo.board import Board
from devtools.demo.house import House

_SIGNALS_TO_LEAVE: Final = 2


class Ending:
    """The first Ctrl-C lets what is under way come in; the second does not wait for it."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.at_once = asyncio.Event()
        self._presses = 0

    def press(self) -> None:
        """Take one."""
        self._presses += 1
        self.wanted.set()
        if self._presses >= _SIGNALS_TO_LEAVE:
            self.at_once.set()

    async def pause(self, seconds: float) -> bool:
        """Wait so long, less if the end is wanted; tell whether it is not, and all goes on."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self.wanted.wait()
        except TimeoutError:
            return True
        return False

    async def see(self, event: asyncio.Event) -> bool:
        """Wait for something else, less if the end is wanted; tell whether it is not, and all goes on."""
        waits = {asyncio.create_task(event.wait()), asyncio.create_task(self.wanted.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not self.wanted.is_set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The board, the house, the wish to end; and two moments of the worker's life.

    What has not come after `patience_s` will not come.
    """

    board: Board
    house: House
    ending: Ending
    patience_s: float
    worker_is_gone: asyncio.Event = field(default_factory=asyncio.Event)
    worker_is_back: asyncio.Event = field(default_factory=asyncio.Event)

    async def reaches(self, at: float) -> bool:
        """Wait for a moment from 0 to 1; tell whether it came before somebody wanted the end."""
        return await self.ending.pause(at * self.board.seconds - self.board.now_s)
