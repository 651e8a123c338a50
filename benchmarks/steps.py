"""What a plan comes to: one step after another, the rounds of all that is compared in turns."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.measures.latency import HALF, SLOW, SLOW_PER_S, Pace, latency
from benchmarks.measures.start import help_time, ready_time
from benchmarks.measures.statements import statements
from benchmarks.measures.throughput import MEASURE as THROUGHPUT
from benchmarks.measures.throughput import throughput
from benchmarks.plan import WORKERS, Plan
from benchmarks.step import Step
from benchmarks.systems import System

_WARM_UP: Final = 1_000
_ALONE: Final = 5_000
_AROUND_S: Final = 5.0  # what a trial takes beside what is measured: filling, starting, stopping, the books


def steps(bench: Bench, plan: Plan) -> Iterator[Step]:
    """Return what is to be done, in order."""
    yield from _warm_up(bench, plan)
    yield from _throughput(bench, plan)
    yield from _latency(bench, plan)
    yield from _starts(bench, plan)
    yield from _statements(bench, plan)


def _warm_up(bench: Bench, plan: Plan) -> Iterator[Step]:
    """Have every program and file in the caches, and learn how large the worker's messages are. Nothing counts."""
    for system in plan.warm_up:

        async def run(system: System = system) -> None:
            outcome = await throughput(bench, system, count=_WARM_UP, number=0)
            if not system.is_echo:
                bench.sizes = outcome.sizes

        yield Step(what=f"warm-up: {system.name}", seconds=_AROUND_S, run=run)


def _throughput(bench: Bench, plan: Plan) -> Iterator[Step]:
    rounds = max((contest.rounds for contest in plan.contests), default=0)
    for number in range(1, rounds + 1):
        for contest in plan.contests:
            if number <= contest.rounds:
                for system in contest.systems:
                    what = f"throughput, round {number} of {contest.rounds}: {system.name}"
                    run = partial(_one_throughput, bench, system, contest.count, number)
                    yield Step(what=what, seconds=_AROUND_S + contest.seconds, run=run)


async def _one_throughput(bench: Bench, system: System, count: int, number: int) -> None:
    bench.samples.add((await throughput(bench, system, count=count, number=number)).sample)


def _latency(bench: Bench, plan: Plan) -> Iterator[Step]:
    for number in range(1, plan.latency_rounds + 1):
        for measure, systems in ((SLOW, plan.slow), (HALF, plan.half)):
            for system in systems:
                what = f"{measure}, round {number} of {plan.latency_rounds}: {system.name}"
                run = partial(_one_latency, bench, system, measure, plan.latency_s, number)
                yield Step(what=what, seconds=_AROUND_S + plan.latency_s, run=run)


async def _one_latency(bench: Bench, system: System, measure: str, seconds: float, number: int) -> None:
    per_s = SLOW_PER_S if measure == SLOW else await _per_s(bench, system) / 2
    pace = Pace(measure=measure, per_s=per_s, seconds=seconds)
    bench.samples.add(await latency(bench, system, pace, number=number))


async def _per_s(bench: Bench, system: System) -> float:
    """Return the throughput as it was measured; where it was not, that of a trial of its own."""
    measured = bench.samples.median(THROUGHPUT, system.name, "per_s")
    if measured is not None:
        return measured
    return (await throughput(bench, system, count=_ALONE, number=0)).sample.values["per_s"]


def _starts(bench: Bench, plan: Plan) -> Iterator[Step]:
    for number in range(1, plan.starts + 1):

        async def ask_for_help(number: int = number) -> None:
            bench.samples.add(help_time(number=number))

        yield Step(what="stream-worker --help", seconds=0.5, run=ask_for_help)
        for system in WORKERS:

            async def become_ready(system: System = system, number: int = number) -> None:
                bench.samples.add(await ready_time(bench, system, number=number))

            yield Step(what=f"until ready: {system.name}", seconds=_AROUND_S, run=become_ready)


def _statements(bench: Bench, plan: Plan) -> Iterator[Step]:
    for system in WORKERS:
        for batch_max in plan.batches:

            async def count(system: System = system, batch_max: int = batch_max) -> None:
                bench.samples.add(await statements(bench, system, batch_max=batch_max))

            what = f"statements in batches of {batch_max}: {system.name}"
            yield Step(what=what, seconds=_AROUND_S, run=count)
