"""How long the program takes to say how it is used, and to be ready for work."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench
from benchmarks.running import started
from benchmarks.samples import Sample
from benchmarks.systems import System
from devtools.project import ROOT
from devtools.readiness import is_ready

HELP: Final = "help"
READY: Final = "ready"

_PROGRAM: Final = Path(sys.executable).parent / "stream-worker"
_GLANCE_S: Final = 0.01
_DEADLINE_S: Final = 30.0


def help_time(*, number: int) -> Sample:
    """Measure `stream-worker --help` from its start to its end."""
    began_s = time.perf_counter()
    subprocess.run([_PROGRAM, "--help"], cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own program
    return Sample(measure=HELP, system="worker", round=number, values={"s": time.perf_counter() - began_s})


async def ready_time(bench: Bench, system: System, *, number: int) -> Sample:
    """Measure `stream-worker run` until /readyz says yes, with a migrated database and the broker up."""
    async with bench.trial(system) as (_, place):
        began_s = time.perf_counter()
        with started(system, place) as running:
            port = int(running.environ["STREAMS_HTTP_PORT"])
            while not is_ready(port):
                running.must_run()
                if time.perf_counter() > began_s + _DEADLINE_S:
                    raise TimeoutError(f"{system.name} was not ready within {_DEADLINE_S:.0f} s")
                await asyncio.sleep(_GLANCE_S)
            took_s = time.perf_counter() - began_s
    return Sample(measure=READY, system=system.name, round=number, values={"s": took_s})
