"""How many statements a batch sends, however large it is: counted in runs of their own, which nobody times."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.load import commands
from benchmarks.running import started
from benchmarks.samples import Sample
from benchmarks.systems import System
from benchmarks.watching import all_is_settled, replies_reach

MEASURE: Final = "statements"
BATCHES_MAX: Final = (16, 256)

_PROGRAM: Final = (sys.executable, "-m", "benchmarks.counting_worker")
_BATCHES: Final = 8
_DEADLINE_S: Final = 60.0


async def statements(bench: Bench, system: System, *, batch_max: int) -> Sample:
    """Count the statements of the largest transaction, where batches have up to `batch_max` commands."""
    asked = commands(_BATCHES * batch_max, seed=bench.seed)
    async with bench.trial(system) as (desk, place):
        await desk.ask_all(asked)
        with tempfile.TemporaryDirectory() as folder:
            counted = Path(folder) / "counted"
            more = {"COUNTED": str(counted), "STREAMS_BATCH_MAX": str(batch_max)}
            with started(system, place, argv=_PROGRAM, more=more) as running:
                await replies_reach(desk, running, len(asked), deadline_s=_DEADLINE_S)
                await all_is_settled(desk, running)
            counts = _read(counted)
    name = f"{system.name}, batches of {batch_max}"
    return Sample(measure=MEASURE, system=name, round=1, values={"most": max(counts), "transactions": len(counts)})


def _read(file: Path) -> Sequence[int]:
    return [int(line) for line in file.read_text("utf-8").split()]
