"""Watching a system work off what waits for it, by no more than a glance at a queue's length now and then."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from benchmarks.desk import Desk
from benchmarks.machine import cpu_s
from benchmarks.running import Running

_GLANCE_S: Final = 0.02
_PATIENCE_S: Final = 6.0  # without one more reply: SQLite waits for a lock for 5 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How many replies there were at a moment, and what they had cost until then."""

    replies: int
    at_s: float
    cpu_s: float


async def replies_reach(desk: Desk, running: Running, count: int, *, deadline_s: float) -> Mark:
    """Wait for so many replies. Where there will never be as many, return the mark of the last one.

    Raises EndedEarly if the system ends.
    """
    last = await _mark(desk, running)
    end_s = last.at_s + deadline_s
    while last.replies < count:
        await asyncio.sleep(_GLANCE_S)
        running.must_run()
        mark = await _mark(desk, running)
        if mark.replies > last.replies:
            last = mark
        elif mark.at_s > min(end_s, last.at_s + _PATIENCE_S):
            break
    return last


async def consumes(desk: Desk, running: Running, *, within_s: float) -> None:
    """Wait until somebody consumes the commands. Raises EndedEarly, TimeoutError."""
    async with asyncio.timeout(within_s):
        while not (await desk.waiting())[1]:
            running.must_run()
            await asyncio.sleep(_GLANCE_S)


async def all_is_settled(desk: Desk, running: Running) -> None:
    """Wait a moment for the last acknowledgements and events: until a second look sees what the first one saw."""
    before = None
    while before != (before := await desk.lengths()):
        running.must_run()
        await asyncio.sleep(10 * _GLANCE_S)


async def _mark(desk: Desk, running: Running) -> Mark:
    replies = await desk.replied()
    return Mark(replies=replies, at_s=time.monotonic(), cpu_s=cpu_s(running.pid))
