"""All invariants put to one trial, and the numbers for the table at the end."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from tests.faults.checks.accounts import everybody_is_answered, nothing_is_lost, poison_is_accounted_for
from tests.faults.checks.causes import Chances
from tests.faults.checks.effects import answers_agree, effects_happen_once, senders_are_apart
from tests.faults.checks.facts import (
    events_are_as_committed,
    events_are_in_order,
    one_id_is_one_fact,
    one_stream_is_active,
)
from tests.faults.checks.health import Footprint, Pulse, nothing_leaks, the_worker_is_back
from tests.faults.checks.one_at_a_time import one_at_a_time_agrees
from tests.faults.checks.settling import confirms_come_first
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import Fate, History
from tests.faults.snapshot import Snapshot
from tests.faults.wire_log import Seen

SHOWN_MAX: Final = 20

_LOST: Final = (Invariant.I1, Invariant.I3, Invariant.I8, Invariant.I9)
_TWICE: Final = (Invariant.I2, Invariant.I4)
_DIFFERING: Final = (Invariant.I5, Invariant.I7, Invariant.I10, Invariant.I14)
_OUT_OF_ORDER: Final = (Invariant.I6,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What else there is to know about a trial. What nobody has watched is not judged: `pulses` and `footprints`
    (before and after), `seen` on the wire, which is None then; each of all workers.

    `healed_at_s` and `within_s`: when the fault ended, and how much later all must be well; already from
    `settled_at_s` on, where that was seen. `crashes`: how often a worker was ended without a goodbye; `reruns`:
    how often one began again what it may have committed, where somebody has counted.
    """

    healed_at_s: float
    within_s: float
    settled_at_s: float = math.inf
    crashes: int = 0
    reruns: float = math.inf
    pulses: Sequence[Pulse] = ()
    footprints: tuple[Footprint, Footprint] | None = None
    seen: Sequence[Seen] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be said of a trial. It is good if nothing is violated; `str` of it is for whoever reads why not.

    `unconfirmed` requests are those whose fate their senders never learnt: nothing was promised to them.
    """

    commands: int
    unconfirmed: int
    events: int
    recovery_s: float
    violations: Sequence[Violation] = field(default=())

    @property
    def is_good(self) -> bool:
        """Whether every promise held."""
        return not self.violations

    @property
    def lost(self) -> int:
        """How much was lost: commands, events, answers, poison."""
        return self._count(_LOST)

    @property
    def effects_twice(self) -> int:
        """How often a command took effect again, or a second stream of a device was active."""
        return self._count(_TWICE)

    @property
    def answers_that_differ(self) -> int:
        """How often one thing was said in two ways, to the wrong ear, or was not true."""
        return self._count(_DIFFERING)

    @property
    def out_of_order(self) -> int:
        """How many devices were heard of in the wrong order, or with a gap."""
        return self._count(_OUT_OF_ORDER)

    def _count(self, invariants: Sequence[Invariant]) -> int:
        return sum(violation.invariant in invariants for violation in self.violations)

    @override
    def __str__(self) -> str:
        by_invariant = Counter(violation.invariant.name for violation in self.violations)
        lines = [
            f"{self.commands} commands ({self.unconfirmed} unconfirmed), {self.events} events",
            f"lost: {self.lost}, effects twice: {self.effects_twice}",
            f"answers that differ: {self.answers_that_differ}, out of order: {self.out_of_order}",
            f"recovered in {self.recovery_s:.1f} s",
            *(f"{name}: {count}" for name, count in by_invariant.items()),
            *(f"- {violation}" for violation in self.violations[:SHOWN_MAX]),
        ]
        hidden = len(self.violations) - SHOWN_MAX
        return "\n".join([*lines, f"… and {hidden} more"] if hidden > 0 else lines)


def verdict(history: History, snapshot: Snapshot, circumstances: Circumstances) -> Verdict:
    """Judge a trial by every invariant for which there is evidence."""
    commands = [request for request in history.requests if not request.is_poison]
    return Verdict(
        commands=len(commands),
        unconfirmed=sum(request.fate is not Fate.CONFIRMED for request in commands),
        events=len(snapshot.events),
        recovery_s=_recovery_s(history, circumstances.healed_at_s),
        violations=[
            *_of_the_books(history, snapshot, circumstances),
            *_of_the_worker(history, snapshot, circumstances),
        ],
    )


def _of_the_books(history: History, snapshot: Snapshot, circumstances: Circumstances) -> Sequence[Violation]:
    healed_at_s, within_s = circumstances.healed_at_s, circumstances.within_s
    chances = Chances(seen=circumstances.seen, crashes=circumstances.crashes, reruns=circumstances.reruns)
    return [
        *nothing_is_lost(history, snapshot),
        *effects_happen_once(history, snapshot, chances),
        *events_are_as_committed(history, snapshot),
        *one_stream_is_active(history, snapshot),
        *answers_agree(history, snapshot),
        *events_are_in_order(history),
        *one_id_is_one_fact(history, snapshot),
        *everybody_is_answered(history, healed_at_s=healed_at_s, within_s=within_s),
        *poison_is_accounted_for(history, crashes=circumstances.crashes),
        *senders_are_apart(history, snapshot),
        *one_at_a_time_agrees(history, snapshot),
    ]


def _of_the_worker(history: History, snapshot: Snapshot, circumstances: Circumstances) -> Sequence[Violation]:
    found: list[Violation] = []
    if circumstances.seen is not None:
        found += confirms_come_first(circumstances.seen, history, snapshot)
    healed_at_s, within_s = circumstances.healed_at_s, circumstances.within_s
    for worker in sorted({pulse.worker for pulse in circumstances.pulses}):
        found += the_worker_is_back(
            [pulse for pulse in circumstances.pulses if pulse.worker == worker],
            healed_at_s=healed_at_s,
            within_s=min(within_s, circumstances.settled_at_s - healed_at_s),
        )
    if circumstances.footprints is not None:
        found += nothing_leaks(*circumstances.footprints)
    return found


def _recovery_s(history: History, healed_at_s: float) -> float:
    """How long after the fault the last of those who had asked before its end got their first answer."""
    firsts: Mapping[str | None, float] = {a.correlation_id: a.at_s for a in reversed(history.answers)}
    early = [request for request in history.requests if request.at_s <= healed_at_s]
    late_s = [firsts[r.correlation_id] - healed_at_s for r in early if r.correlation_id in firsts]
    return max(0.0, *late_s) if late_s else 0.0
