"""When what is asked: the pace of a crowd."""

import asyncio
from collections.abc import Sequence

from tests.faults.journal import now_s
from tests.faults.load import Command, Load


class Turns:
    """Deals out what there is to ask, at an even pace. What a fault held up is not hurried after."""

    def __init__(self, *, commands: int, rate_per_s: float) -> None:
        self._left = commands
        self._step_s = 1 / rate_per_s
        self._next_s = now_s()

    @property
    def are_over(self) -> bool:
        """Whether there is nothing more to ask."""
        return self._left == 0

    def end(self) -> None:
        """Have it be over."""
        self._left = 0

    async def next(self, load: Load) -> Sequence[Command]:
        """Wait for the next turn and return what is asked in it; nothing when all is asked."""
        salvo = load.next()[: self._left]
        self._left -= len(salvo)
        self._next_s = max(now_s(), self._next_s + self._step_s * len(salvo))
        await asyncio.sleep(self._next_s - now_s())
        return salvo
