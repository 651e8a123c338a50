"""What there is to say of a soak, while it goes on and at its end."""

from collections import Counter
from dataclasses import dataclass

from tests.faults.checks.health import Footprint
from tests.faults.checks.verdict import Verdict
from tests.faults.world import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far a soak is. `footprint` is of all workers together."""

    at_s: float
    now: str
    asked: int
    answered: int
    events: int
    crashes: int
    footprint: Footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of a soak. `before` and `after` are of the first worker; connections and channels, of all."""

    setup: Setup
    length_s: float
    faults: Counter[str]
    crashes: int
    verdict: Verdict
    before: Footprint
    after: Footprint
