"""What must be reached, as ratios and limits over the samples of one run. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from benchmarks.large import EMPTY, FULL
from benchmarks.measures import backlog, history, statements
from benchmarks.measures.latency import HALF, SLOW
from benchmarks.measures.start import HELP, READY
from benchmarks.measures.throughput import MEASURE as THROUGHPUT
from benchmarks.samples import Samples
from benchmarks.systems import (
    DATABASES,
    FASTSTREAM,
    POSTGRESQL,
    SQLITE,
    THE_BATCHED_ECHO,
    THE_ECHO,
    peer,
    worker,
)

Value = Callable[[Samples], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One thing that is asked of the worker. `at_least`: more is better. Without a `limit` it is only shown.

    `is_guarded`: a ratio within one run, which a floor can hold on any machine.
    """

    name: str
    database: str | None
    value: Value
    at_least: bool
    limit: float | None
    unit: str = ""
    is_guarded: bool = False

    @property
    def key(self) -> str:
        """Its name in the file of floors."""
        return self.name if self.database is None else f"{self.name}, {self.database}"

    def is_met(self, value: float) -> bool:
        """Whether a value is as good as asked, or nothing is asked."""
        return self.limit is None or (value >= self.limit if self.at_least else value <= self.limit)


def _ratio(samples: Samples, measure: str, value: str, above: str, below: str) -> float | None:
    high, low = samples.median(measure, above, value), samples.median(measure, below, value)
    return high / low if high is not None and low else None


def _tail(samples: Samples, *, database: str) -> float | None:
    p99, p50 = (samples.median(HALF, worker(database).name, value) for value in ("p99_ms", "p50_ms"))
    return p99 / p50 if p99 is not None and p50 else None


def _statements_more(samples: Samples, *, database: str) -> float | None:
    """How many more the largest batches send than the smallest."""
    name = worker(database).name
    counts = [
        samples.median(statements.MEASURE, f"{name}, batches of {size}", "most") for size in statements.BATCHES_MAX
    ]
    known = [count for count in counts if count is not None]
    return max(known) - min(known) if len(known) == len(counts) else None


def _memory_more(samples: Samples) -> float | None:
    name = worker(POSTGRESQL).name
    few, many = (
        samples.median(backlog.MEASURE, f"{name}, {waiting} waiting", "mib")
        for waiting in (backlog.FEW, backlog.MANY)
    )
    return many - few if many is not None and few is not None else None


def _seconds(samples: Samples, *, measure: str, system: str) -> float | None:
    return samples.median(measure, system, "s")


def _throughput(database: str) -> Sequence[Target]:
    ours, rival = worker(database).name, peer(FASTSTREAM, database, 1).name
    limits = ((rival, "FastStream, prefetch 1", 15), (THE_ECHO.name, "the echo", 1))
    return [
        Target(
            name=f"throughput against {name}",
            database=database,
            value=partial(_ratio, measure=THROUGHPUT, value="per_s", above=ours, below=other),
            at_least=True,
            limit=limit,
            is_guarded=True,
        )
        for other, name, limit in (*limits, (THE_BATCHED_ECHO.name, "the batched echo", None))
    ]


def _less(database: str, name: str, limit: float | None, value: Value, unit: str = "") -> Target:
    return Target(name=name, database=database, value=value, at_least=False, limit=limit, unit=unit)


def _latency(database: str) -> Sequence[Target]:
    ours, limit = worker(database).name, None if database == SQLITE else 2.0  # SQLite waits for the disk
    slow = partial(_ratio, measure=SLOW, value="p50_ms", above=ours, below=THE_ECHO.name)
    return [
        _less(database, "reply latency at 50 commands/s, p50 against the echo's", limit, slow),
        _less(
            database,
            "reply latency at half of the throughput, p99 against p50",
            5,
            partial(_tail, database=database),
        ),
    ]


def _past(database: str) -> Sequence[Target]:
    ours, words = worker(database).name, "a command with a million rows in each table, against an empty database"
    full, empty = f"{ours}, {FULL}", f"{ours}, {EMPTY}"
    cpu = partial(_ratio, measure=history.MEASURE, value="cpu_us", above=full, below=empty)
    time = partial(_ratio, measure=history.MEASURE, value="per_s", above=empty, below=full)
    return [_less(database, f"CPU {words}", 1.2, cpu), _less(database, f"time {words}", 1.2, time)]


def _of(database: str) -> Sequence[Target]:
    ours = worker(database).name
    cpu = partial(_ratio, measure=THROUGHPUT, value="cpu_us", above=ours, below=THE_ECHO.name)
    more = partial(_statements_more, database=database)
    ready = partial(_seconds, measure=READY, system=ours)
    return [
        *_throughput(database),
        replace(_less(database, "CPU a command against the echo", 1, cpu), is_guarded=True),
        *_latency(database),
        *_past(database),
        _less(database, "statements of the largest batch, more than those of the smallest", 0, more),
        _less(database, "`stream-worker run` to ready", 2, ready, "s"),
    ]


TARGETS: Final[Sequence[Target]] = (
    *(target for pair in zip(*map(_of, DATABASES), strict=True) for target in pair),
    Target(
        name="memory with 1,000,000 waiting, more than with 1,000",
        database=None,
        value=_memory_more,
        at_least=False,
        limit=20,
        unit="MiB",
    ),
    Target(
        name="`stream-worker --help`",
        database=None,
        value=partial(_seconds, measure=HELP, system="worker"),
        at_least=False,
        limit=0.5,
        unit="s",
    ),
)
