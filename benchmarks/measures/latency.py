"""How long after it was sent a command's reply arrives, with commands at an even pace."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bench import Bench
from benchmarks.books import Heard, broken, unechoed
from benchmarks.desk import Desk
from benchmarks.load import Command, commands
from benchmarks.running import Running, started
from benchmarks.samples import Sample
from benchmarks.spread import percentile
from benchmarks.systems import System
from benchmarks.watching import all_is_settled, consumes

SLOW: Final = "latency at 50 a second"
HALF: Final = "latency at half the throughput"
SLOW_PER_S: Final = 50.0

_WARM_UP_S: Final = 1.0
_START_DEADLINE_S: Final = 30.0
_END_DEADLINE_S: Final = 20.0
_MS: Final = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast and how long commands are sent, after a warm-up at the same pace."""

    measure: str
    per_s: float
    seconds: float


async def latency(bench: Bench, system: System, pace: Pace, *, number: int) -> Sample:
    """Measure one trial; `number` is its round, and the load's seed with the run's."""
    count = round(pace.per_s * (_WARM_UP_S + pace.seconds))
    asked = commands(count, seed=f"{bench.seed}/{number}")
    async with bench.trial(system) as (desk, place):
        with started(system, place) as running:
            await consumes(desk, running, within_s=_START_DEADLINE_S)
            watch = _Stopwatch(count)
            await desk.hear(watch.heard)
            await watch.ask(desk, asked, pace.per_s)
            behind = watch.unanswered
            await watch.complete(running)
            await all_is_settled(desk, running)
        rest = await desk.heard()
    heard = Heard(replies=[*watch.replies, *rest.replies], events=rest.events, left=rest.left)
    judged = unechoed(asked, heard) if system.is_echo else broken(asked, heard)
    values = _values(watch.latencies_s(first=round(pace.per_s * _WARM_UP_S)))
    return Sample(
        measure=pace.measure,
        system=system.name,
        round=number,
        values=values | {"asked_per_s": pace.per_s, "behind": behind},
        broken=dict(judged),
    )


class _Stopwatch:
    """Knows when each command was sent, and when its first reply came."""

    def __init__(self, count: int) -> None:
        self.replies: list[tuple[int, bytes]] = []
        self._count = count
        self._sent_s: dict[int, float] = {}
        self._came_s: dict[int, float] = {}
        self._all = asyncio.Event()

    def heard(self, number: int, body: bytes) -> None:
        self._came_s.setdefault(number, time.perf_counter())
        self.replies.append((number, body))
        if len(self._came_s) == self._count:
            self._all.set()

    async def ask(self, desk: Desk, commands: Sequence[Command], per_s: float) -> None:
        """Send at an even pace, however slow the answers come."""
        began_s = time.perf_counter()
        for number, command in enumerate(commands):
            await asyncio.sleep(max(0.0, began_s + number / per_s - time.perf_counter()))
            self._sent_s[number] = time.perf_counter()
            await desk.ask(number, command)

    async def complete(self, running: Running) -> None:
        """Wait for the last reply, but not for ever: the books will say what is missing."""
        try:
            async with asyncio.timeout(_END_DEADLINE_S):
                await self._all.wait()
        except TimeoutError:
            running.must_run()

    @property
    def unanswered(self) -> int:
        """How many have no reply yet: many, where the system does not keep up and latency is a queue's length."""
        return self._count - len(self._came_s)

    def latencies_s(self, *, first: int) -> Sequence[float]:
        """Return those of the commands from the `first` on that were answered."""
        return [at_s - self._sent_s[number] for number, at_s in self._came_s.items() if number >= first]


def _values(latencies_s: Sequence[float]) -> dict[str, float]:
    if not latencies_s:
        return {}
    return {f"p{percent}_ms": percentile(latencies_s, percent) * _MS for percent in (50, 90, 99)}
