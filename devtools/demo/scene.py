"""What all who take part share."""

import asyncio
from dataclasses import dataclass, field

from devtools.demo.board import Board
from devtools.demo.ending import Ending
from devtools.demo.house import House


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
