"""`python -m benchmarks`: measure the worker beside its peers, in one run on one machine."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Final

import uvloop

from benchmarks import floors, results, tables
from benchmarks.bench import Bench
from benchmarks.document import write_document
from benchmarks.judge import objections
from benchmarks.large import large_steps
from benchmarks.machine import this_machine
from benchmarks.plan import PLANS
from benchmarks.progress import Progress
from benchmarks.running import EndedEarly
from benchmarks.samples import Samples
from benchmarks.servers import Servers
from benchmarks.steps import steps
from devtools.failures import ServerFailure
from devtools.project import say

_QUICK: Final = "quick"
_DEFAULT: Final = "default"
_LARGE: Final = "large"
_SEED: Final = "2026"

EXIT_NOT_MEASURED: Final = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and show. Return 1 if a ratio is worse than its floor, or the worker broke a promise; 2 if something
    could not be measured.
    """
    options = _options(argv)
    if not options.document:
        try:
            samples = _measured(options)
        except (EndedEarly, ServerFailure, TimeoutError) as failure:
            say(str(failure))
            return EXIT_NOT_MEASURED
        print(tables.everything(samples) if options.only else tables.targets(samples))
        if options.write_floors:
            floors.write(samples)
        against = objections(samples, floors.read())
        print(*against, sep="\n", end="\n" if against else "")
        if against or options.size == _QUICK or options.only:
            return 1 if against else 0
    write_document()
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", dest="size", action="store_const", const=_QUICK, help="under 90 s: the ratios and their floors"
    )
    size.add_argument(
        "--large", dest="size", action="store_const", const=_LARGE, help="a million rows, a million messages"
    )
    parser.add_argument("--only", metavar="WORD", help="steps with this in their name; nothing is kept")
    parser.add_argument("--seed", default=_SEED, help="of the load (%(default)s)")
    parser.add_argument(
        "--write-floors", action="store_true", help="put new floors a fifth under what is measured"
    )
    parser.add_argument("--document", action="store_true", help="measure nothing, write docs/performance.md anew")
    parser.set_defaults(size=_DEFAULT)
    return parser.parse_args(argv)


def _measured(options: argparse.Namespace) -> Samples:
    """Run the steps, keep the results where it was a whole run, and return the samples."""
    with Servers() as servers:
        bench = Bench(servers=servers, seed=options.seed)
        uvloop.run(_run(bench, options))
    if options.only is None:
        results.Results(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            plan=options.size,
            seed=options.seed,
            machine=this_machine(),
            samples=bench.samples,
        ).write()
    return bench.samples


async def _run(bench: Bench, options: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        planned = large_steps(bench, stack) if options.size == _LARGE else steps(bench, PLANS[options.size])
        some = [step for step in planned if options.only is None or options.only in step.what]
        progress = Progress(seconds=sum(step.seconds for step in some))
        for step in some:
            progress.begins(step.what, seconds=step.seconds)
            await step.run()
        progress.ends()


if __name__ == "__main__":
    sys.exit(main())
