"""All faults there are, and the trials that a run is made of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from typing_extensions import override

from tests.faults import (
    faults_of_messages,
    faults_of_the_broker,
    faults_of_the_database,
    faults_of_the_network,
    faults_of_the_worker,
)
from tests.faults.trial import Fault, Outcome, trial
from tests.faults.world import SETUPS, Servers, Setup

FAULTS: Final[Sequence[Fault]] = [
    *faults_of_the_worker.FAULTS,
    *faults_of_the_broker.FAULTS,
    *faults_of_the_network.FAULTS,
    *faults_of_the_database.FAULTS,
    *faults_of_messages.FAULTS,
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which of the trials: each word where it is given."""

    group: str | None = None
    only: str = ""
    setups: Sequence[Setup] = SETUPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trial to come."""

    fault: Fault
    setup: Setup
    seed: int

    @override
    def __str__(self) -> str:
        return f"{self.fault.group}: {self.fault.name}, {self.setup}"

    async def run(self, servers: Servers, *, is_watched: bool) -> Outcome:
        """Carry it out."""
        return await trial(servers, self.fault, self.setup, seed=self.seed, is_watched=is_watched)


def cases(choice: Choice, *, runs: int, seed: int) -> Sequence[Case]:
    """Return the chosen trials, each `runs` times with a seed of its own."""
    chosen = [fault for fault in FAULTS if choice.group in (None, fault.group) and choice.only in fault.name]
    return [
        Case(fault=fault, setup=setup, seed=seed + run)
        for fault in chosen
        for run in range(runs)
        for setup in fault.setups
        if setup in choice.setups
    ]


def short_cases(*, seed: int) -> Sequence[Case]:
    """Return the short form: each fault that is part of it on one setup, which is another for the next of its
    group, so that every group has met every setup.
    """
    return list(_short(seed))


def _short(seed: int) -> Iterator[Case]:
    met: dict[str, int] = {}
    for fault in FAULTS:
        if fault.is_short:
            number = met[fault.group] = met.get(fault.group, -1) + 1
            setup = fault.setups[number % len(fault.setups)]
            yield Case(fault=replace(fault, commands=min(fault.commands, SHORT_COMMANDS)), setup=setup, seed=seed)


SHORT_COMMANDS: Final = 100


def rounds(cases: Sequence[Case], *, at_once: int) -> Iterator[Sequence[Case]]:
    """Put together what may run at the same time: a trial that harms the servers runs alone."""
    gentle = [case for case in cases if not case.fault.harms_servers]
    for start in range(0, len(gentle), at_once):
        yield gentle[start : start + at_once]
    for case in cases:
        if case.fault.harms_servers:
            yield [case]
