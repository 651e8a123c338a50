"""The tables at the end of a run: what was done to the worker, and what became of the promises."""

import os
import platform
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devtools.broker import PrivateBroker
from tests.faults.trial import Outcome

BEGIN: Final = "<!-- matrix: begin -->"
END: Final = "<!-- matrix: end -->"

_HEADING: Final = "### "

_HEAD: Final = (
    "fault",
    "runs",
    "commands",
    "lost",
    "effects twice",
    "answers that differ",
    "out of order",
    "other violations",
    "worst recovery (s)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of one fault, or of all; `failed` are the trials that did not come to their end."""

    name: str
    runs: int
    failed: int
    commands: int
    lost: int
    effects_twice: int
    answers_that_differ: int
    out_of_order: int
    others: int
    recovery_s: float

    @classmethod
    def of(cls, name: str, outcomes: Sequence[Outcome]) -> "Row":
        """Add up."""
        verdicts = [outcome.verdict for outcome in outcomes if outcome.verdict is not None]
        named = [(v.lost, v.effects_twice, v.answers_that_differ, v.out_of_order) for v in verdicts]
        lost, twice, differ, disorder = (sum(column) for column in zip((0, 0, 0, 0), *named, strict=True))
        return cls(
            name=name,
            runs=len(outcomes),
            failed=len(outcomes) - len(verdicts),
            commands=sum(verdict.commands for verdict in verdicts),
            lost=lost,
            effects_twice=twice,
            answers_that_differ=differ,
            out_of_order=disorder,
            others=sum(len(verdict.violations) for verdict in verdicts) - lost - twice - differ - disorder,
            recovery_s=max((verdict.recovery_s for verdict in verdicts), default=0.0),
        )

    @property
    def cells(self) -> Sequence[str]:
        """What stands in the table, as it stands in its head."""
        runs = f"{self.runs}, {self.failed} of them failed" if self.failed else str(self.runs)
        counts = (self.lost, self.effects_twice, self.answers_that_differ, self.out_of_order, self.others)
        return [self.name, runs, f"{self.commands:,}", *map(str, counts), f"{self.recovery_s:.1f}"]


def sections(outcomes: Iterable[Outcome], *, said: str) -> Mapping[str, str]:
    """Return for each group of faults its part of a document: a heading, what is `said` of the run, and a table in
    Markdown with a row a fault, and what they come to.
    """
    by_group: dict[str, dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        by_group.setdefault(outcome.fault.group, {}).setdefault(outcome.fault.name, []).append(outcome)
    return {group: f"{_HEADING}{group}\n\n{said}\n\n{_table(by_fault)}" for group, by_fault in by_group.items()}


def _table(by_fault: Mapping[str, Sequence[Outcome]]) -> str:
    rows = [Row.of(name, of_one) for name, of_one in by_fault.items()]
    total = Row.of("**all**", [outcome for of_one in by_fault.values() for outcome in of_one])
    lines = [_HEAD, ["---", *["---:"] * (len(_HEAD) - 1)], *(row.cells for row in (*rows, total))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def machine(broker: PrivateBroker, postgres_version: str) -> str:
    """Return the machine's kind in a line, without a name or a place."""
    system = platform.system()
    if system == "Linux":
        system = platform.freedesktop_os_release().get("PRETTY_NAME", system)
    versions: Mapping[str, str] = {
        "Python": platform.python_version(),
        "RabbitMQ": broker.ctl("--quiet", "eval", "io:format(rabbit_misc:version()).").split("ok")[0].strip(),
        "PostgreSQL": postgres_version,
        "SQLite": sqlite3.sqlite_version,
    }
    parts = [f"{os.cpu_count()} CPUs ({platform.machine()})", system, *(f"{n} {v}" for n, v in versions.items())]
    return ", ".join(parts)


def write_into(document: Path, sections: Mapping[str, str]) -> None:
    """Put sections into a document, each in the place of the one before of its group, a new one behind the others.

    Raises ValueError where it has no place for them.
    """
    text = document.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{document.name} has no place for the tables: two lines, {BEGIN!r} and {END!r}")
    old = {part.partition("\n")[0]: _HEADING + part.rstrip() + "\n" for part in inside.split(_HEADING)[1:]}
    new = "\n".join({**old, **sections}.values())
    document.write_text(f"{before}{BEGIN}\n\n{new}\n{END}{after}", "utf-8")
