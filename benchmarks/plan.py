"""What a run of each size does: how many rounds, how many commands, for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.measures.statements import BATCHES_MAX
from benchmarks.systems import (
    DATABASES,
    FASTSTREAM,
    PLAIN,
    THE_BATCHED_ECHO,
    THE_ECHO,
    System,
    peer,
    worker,
)

WORKERS: Final = tuple(worker(database) for database in DATABASES)
ECHOES: Final = (THE_ECHO, THE_BATCHED_ECHO)
WIDE: Final = 100  # a prefetch at which the peers' messages run into each other


def peers(program: str, prefetch: int) -> Sequence[System]:
    """Return a peer on each database."""
    return [peer(program, database, prefetch) for database in DATABASES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Systems that are measured in turns: `count` commands each, in so many rounds, `seconds` each."""

    systems: Sequence[System]
    count: int
    rounds: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One size of a run: contests, their rounds in turns.

    `warm_up`: who has a trial first that does not count, the worker among them. `slow` and `half`: whose latency
    is measured, at 50 commands a second and at half of the throughput, `latency_s` each. `starts`: how often the
    program is started. `batches`: in which sizes of batches statements are counted.
    """

    name: str
    warm_up: Sequence[System]
    contests: Sequence[Contest]
    latency_rounds: int
    latency_s: float
    slow: Sequence[System]
    half: Sequence[System] = ()
    starts: int = 0
    batches: Sequence[int] = ()


_QUICK: Final = Plan(
    name="quick",
    warm_up=WORKERS[:1],
    contests=(
        Contest(systems=(*WORKERS, *ECHOES), count=3_000, rounds=2, seconds=2),
        Contest(systems=peers(FASTSTREAM, 1), count=250, rounds=1, seconds=4),
    ),
    latency_rounds=1,
    latency_s=3,
    slow=(WORKERS[-1], THE_ECHO),
)

_DEFAULT: Final = Plan(
    name="default",
    warm_up=(*WORKERS, *ECHOES),
    contests=(
        Contest(systems=(*WORKERS, *ECHOES), count=12_000, rounds=4, seconds=7),
        Contest(systems=peers(FASTSTREAM, 1), count=500, rounds=3, seconds=5),
        Contest(systems=peers(PLAIN, 1), count=500, rounds=1, seconds=5),
        Contest(systems=[*peers(FASTSTREAM, WIDE), *peers(PLAIN, WIDE)], count=500, rounds=1, seconds=10),
    ),
    latency_rounds=2,
    latency_s=6,
    slow=(*WORKERS, THE_ECHO, *peers(FASTSTREAM, 1)),
    half=WORKERS,
    starts=3,
    batches=BATCHES_MAX,
)

PLANS: Final = {plan.name: plan for plan in (_QUICK, _DEFAULT)}
