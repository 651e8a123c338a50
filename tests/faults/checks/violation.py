"""What the checkers speak of: the invariants, and a violation of one."""

from dataclasses import dataclass
from enum import Enum

from typing_extensions import override


class Invariant(Enum):
    """What must hold after any fault."""

    I1 = "no confirmed command is lost"
    I2 = "a command takes effect once"
    I3 = "what is committed is heard, and nothing else"
    I4 = "a device has at most one active stream, at every moment"
    I5 = "a command has one answer, and the database agrees with it"
    I6 = "a device's events first appear as 1, 2, 3, …"
    I7 = "one event id is one fact, and always the same bytes"
    I8 = "every confirmed request is answered in time, and under its correlation id"
    I9 = "what cannot be carried out is refused or dead-lettered, once"
    I10 = "nobody hears another's answers"
    I11 = "the worker is back at work in time, and is not ready before"
    I12 = "nothing leaks"
    I13 = "a command is acknowledged after what it says is confirmed"
    I14 = "every answer is one that was true, in an order that time allows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that must not be. `what` names whom it befell; `detail` says what was expected and found."""

    invariant: Invariant
    what: str
    detail: str

    @override
    def __str__(self) -> str:
        return f"{self.invariant.name} ({self.invariant.value}): {self.what}: {self.detail}"
