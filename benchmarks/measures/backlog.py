"""How much memory the worker takes at most, with so many commands waiting for it."""

from typing import Final

from benchmarks.bench import Bench
from benchmarks.load import commands
from benchmarks.machine import peak_bytes
from benchmarks.running import started
from benchmarks.samples import Sample
from benchmarks.systems import System
from benchmarks.watching import replies_reach

MEASURE: Final = "memory"
FEW: Final = 1_000
MANY: Final = 1_000_000

_ANSWERED: Final = 20_000  # of the many: it is not only the start that is looked at
_DEADLINE_S: Final = 120.0
_MIB: Final = 1024**2


async def backlog(bench: Bench, system: System, *, waiting: int, number: int) -> Sample:
    """Measure the peak after the first thousand replies, and after many more where there are as many."""
    asked = commands(waiting, seed=f"{bench.seed}/{number}")
    async with bench.trial(system) as (desk, place):
        await desk.ask_all(asked)
        with started(system, place) as running:
            await replies_reach(desk, running, FEW, deadline_s=_DEADLINE_S)
            early = peak_bytes(running.pid)
            await replies_reach(desk, running, min(waiting, _ANSWERED), deadline_s=_DEADLINE_S)
            values = {"early_mib": early / _MIB, "mib": peak_bytes(running.pid) / _MIB}
    return Sample(measure=MEASURE, system=f"{system.name}, {waiting} waiting", round=number, values=values)
