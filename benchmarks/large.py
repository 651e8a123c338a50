"""The large run: a million rows in the database, a million messages waiting."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import Final

from benchmarks.bench import Bench
from benchmarks.measures.backlog import FEW, MANY, backlog
from benchmarks.measures.history import MEASURE as WITH_A_PAST
from benchmarks.measures.history import fill, recall
from benchmarks.measures.throughput import throughput
from benchmarks.plan import WORKERS
from benchmarks.step import Step
from benchmarks.systems import POSTGRESQL, System, worker

EMPTY: Final = "empty"
FULL: Final = "a million"

_ROUNDS: Final = 3
_COUNT: Final = 15_000
_FILL_S: Final = 200.0
_TRIAL_S: Final = 15.0
_MANY_S: Final = 240.0


def large_steps(bench: Bench, stack: AsyncExitStack) -> Iterator[Step]:
    """Return what is to be done, in order; the full databases go with the stack."""
    full: dict[str, str] = {}
    for system in WORKERS:
        what = f"a million rows into the database: {system.name}"
        yield Step(what=what, seconds=_FILL_S, run=partial(_fill, bench, stack, system, full))
    for number in range(1, _ROUNDS + 1):
        for system in WORKERS:
            for past in (EMPTY, FULL):
                what = f"{WITH_A_PAST}, round {number} of {_ROUNDS}: {system.name}, {past}"
                run = partial(_measure, bench, system, number, full if past == FULL else None)
                yield Step(what=what, seconds=_TRIAL_S, run=run)
    for waiting, seconds in ((FEW, _TRIAL_S), (MANY, _MANY_S)):
        run = partial(_wait, bench, worker(POSTGRESQL), waiting)
        yield Step(what=f"memory with {waiting} waiting", seconds=seconds, run=run)


async def _fill(bench: Bench, stack: AsyncExitStack, system: System, full: dict[str, str]) -> None:
    url = await stack.enter_async_context(bench.servers.database(system.database, migrated=True))
    await fill(url, seed=bench.seed)
    full[system.name] = url


async def _measure(bench: Bench, system: System, number: int, full: dict[str, str] | None) -> None:
    if full is not None:
        await asyncio.to_thread(recall, full[system.name])
    outcome = await throughput(
        bench,
        system,
        count=_COUNT,
        number=number,
        measure=WITH_A_PAST,
        database_url=None if full is None else full[system.name],
    )
    name = f"{system.name}, {EMPTY if full is None else FULL}"
    bench.samples.add(replace(outcome.sample, system=name))


async def _wait(bench: Bench, system: System, waiting: int) -> None:
    bench.samples.add(await backlog(bench, system, waiting=waiting, number=1))
