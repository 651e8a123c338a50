"""The worker as a process: I11 and I12, from samples that somebody took."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from tests.faults.checks.violation import Invariant, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One look at a worker: what /readyz says, the consumers of the command queue, the messages that are ready in
    it, and how many answers there have been so far. `worker` tells one from another; `ready_workers`, how many of
    all said that they are ready at that look, for consumers are everybody's.
    """

    at_s: float
    is_ready: bool
    consumers: int
    waiting: int
    answered: int
    worker: int = 0
    ready_workers: int = 1

    @property
    def is_deaf(self) -> bool:
        """Whether it is one of more who say that they are ready than there are who consume."""
        return self.is_ready and self.consumers < self.ready_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a worker occupies: its tasks and file descriptors, and its connections and channels at the broker."""

    tasks: int = 0
    fds: int = 0
    connections: int = 0
    channels: int = 0
    rss_bytes: int = 0


ALLOWED: Final = Footprint(rss_bytes=32 * 1024 * 1024)
"""How much more there may be afterwards: nothing of what is counted, and what an allocator keeps."""


def the_worker_is_back(
    pulses: Sequence[Pulse], *, healed_at_s: float, within_s: float, grace_s: float = 2.0
) -> list[Violation]:
    """I11. From `within_s` after the fault ended it is ready, consumes and gets on with what waits, for which
    `grace_s` may have begun when the fault ended; and never, for longer than that, does it say that it is ready
    while fewer consume than say so.
    """
    since = [pulse for pulse in pulses if pulse.at_s >= healed_at_s]
    later = [pulse for pulse in pulses if pulse.at_s >= healed_at_s + within_s]
    if not later:
        return [_sick(healed_at_s + within_s, "nobody has looked since")]
    return [*_away(later), *_stuck(since, later[0].at_s, grace_s), *_lying(pulses, grace_s)]


def _away(pulses: Sequence[Pulse]) -> Iterator[Violation]:
    for pulse in pulses:
        if not pulse.is_ready or pulse.is_deaf:
            said = f"ready: {pulse.is_ready}, consumers: {pulse.consumers}, for {pulse.ready_workers} workers"
            yield _sick(pulse.at_s, said)
            return


def _stuck(pulses: Sequence[Pulse], due_at_s: float, grace_s: float) -> Iterator[Violation]:
    """Something has waited all the time since the last answer, and still does when it must not any more."""
    for first, last in _spells(pulses, lambda pulse: pulse.answered if pulse.waiting else None):
        if last.at_s >= due_at_s and last.at_s - first.at_s > grace_s:
            yield _sick(last.at_s, f"{last.waiting} wait, and no answer for {last.at_s - first.at_s:.1f} s")


def _lying(pulses: Sequence[Pulse], grace_s: float) -> Iterator[Violation]:
    for first, last in _spells(pulses, lambda pulse: True if pulse.is_deaf else None):
        if last.at_s - first.at_s > grace_s:
            lacking = f"{last.consumers} consumers for {last.ready_workers} ready workers"
            yield _sick(last.at_s, f"{lacking}, for {last.at_s - first.at_s:.1f} s")


def _spells(pulses: Sequence[Pulse], state: Callable[[Pulse], int | None]) -> Iterator[tuple[Pulse, Pulse]]:
    """Return the first and the last of each unbroken row of samples that are in the same state, if in any."""
    for value, row in groupby(pulses, state):
        spell = list(row)
        if value is not None:
            yield spell[0], spell[-1]


def nothing_leaks(before: Footprint, after: Footprint, *, allowed: Footprint = ALLOWED) -> list[Violation]:
    """I12. Afterwards there is no more of anything than before and what is allowed."""
    return [
        Violation(invariant=Invariant.I12, what=name, detail=f"{was} before, {now} after, {more} more are allowed")
        for name in Footprint.__slots__
        for was, now, more in [(getattr(before, name), getattr(after, name), getattr(allowed, name))]
        if now > was + more
    ]


def _sick(at_s: float, detail: str) -> Violation:
    return Violation(invariant=Invariant.I11, what=f"the worker at {at_s:.1f} s", detail=detail)
