"""Commands a second and processor time a command, with all commands waiting before the system starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.bench import Bench, Sizes
from benchmarks.books import Heard, broken, unechoed
from benchmarks.load import Command, commands
from benchmarks.running import started
from benchmarks.samples import Sample
from benchmarks.systems import System
from benchmarks.watching import Mark, all_is_settled, replies_reach

MEASURE: Final = "throughput"

_WARM_UP: Final = 0.2  # of all replies: caches, connections, and the worker's narrow start
_DEADLINE_S: Final = 60.0
_US: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A sample, and how large the system's messages were."""

    sample: Sample
    sizes: Sizes


async def throughput(
    bench: Bench,
    system: System,
    *,
    count: int,
    number: int,
    measure: str = MEASURE,
    database_url: str | None = None,
) -> Outcome:
    """Measure one trial of `count` commands; `number` is its round, and the load's seed with the run's."""
    asked = commands(count, seed=f"{bench.seed}/{number}")
    async with bench.trial(system, database_url=database_url) as (desk, place):
        await desk.ask_all(asked)
        with started(system, place) as running:
            warm = await replies_reach(desk, running, round(count * _WARM_UP), deadline_s=_DEADLINE_S)
            last = await replies_reach(desk, running, count, deadline_s=_DEADLINE_S)
            await all_is_settled(desk, running)
        heard = await desk.heard()
    judged = unechoed(asked, heard) if system.is_echo else broken(asked, heard)
    sample = Sample(
        measure=measure, system=system.name, round=number, values=_values(warm, last), broken=dict(judged)
    )
    return Outcome(sample=sample, sizes=_sizes(heard, asked))


def _values(warm: Mark, last: Mark) -> dict[str, float]:
    replies = last.replies - warm.replies
    if not replies:
        return {}
    return {
        "per_s": replies / (last.at_s - warm.at_s),
        "cpu_us": (last.cpu_s - warm.cpu_s) / replies * _US,
    }


def _sizes(heard: Heard, asked: Sequence[Command]) -> Sizes:
    return Sizes(
        reply_bytes=sum(len(body) for _, body in heard.replies) // len(asked),
        event_bytes=sum(map(len, heard.events)) // max(1, len(heard.events)),
    )
