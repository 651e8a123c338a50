"""The end, when somebody wants it before its time."""

import asyncio
from typing import Final

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
