"""A task that shows that the event loop turns."""

import asyncio
import time
from contextlib import suppress
from typing import Final

BEAT_S: Final = 0.5


class Heartbeat:
    """Beats while the event loop turns. Should its task die, it ages, and says so by that."""

    def __init__(self) -> None:
        self._beat_at_s = time.monotonic()
        self._task: asyncio.Task[None] | None = None

    @property
    def age_s(self) -> float:
        """How long ago the last beat was."""
        return time.monotonic() - self._beat_at_s

    def start(self) -> None:
        """Begin to beat, in the running loop."""
        self._beat_at_s = time.monotonic()
        self._task = asyncio.create_task(self._beat(), name="heartbeat")

    async def stop(self) -> None:
        """Beat no more. Idempotent; harmless before `start`."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _beat(self) -> None:
        while True:
            self._beat_at_s = time.monotonic()
            await asyncio.sleep(BEAT_S)
