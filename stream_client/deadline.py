"""The end of somebody's patience, handed down from call to call."""

import asyncio
from typing import Self


class Deadline:
    """A moment of the running loop's clock."""

    def __init__(self, within_s: float) -> None:
        self._ends_at_s = asyncio.get_running_loop().time() + within_s

    @property
    def left_s(self) -> float:
        """The seconds that are left, 0.0 once it has passed."""
        return max(0.0, self._ends_at_s - asyncio.get_running_loop().time())

    def at_most(self, within_s: float) -> Self:
        """Return the earlier of this deadline and one that many seconds from now."""
        return type(self)(min(within_s, self.left_s))
