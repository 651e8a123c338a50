"""A soak in words: a line while it goes on, a table at its end."""

from collections.abc import Sequence
from typing import Final

from tests.faults.checks.health import Footprint
from tests.faults.soaked import Moment, Soaked

MIB: Final = 1024 * 1024


def line_of(moment: Moment) -> str:
    """Return one line."""
    return (
        f"{moment.at_s:6.0f} s  {moment.now:<38} asked {moment.asked:>6}  answers {moment.answered:>6}  "
        f"events {moment.events:>6}  crashes {moment.crashes:>3}  {moment.footprint.rss_bytes / MIB:.0f} MiB"
    )


def table_of(soaked: Sequence[Soaked]) -> str:
    """Return what happened and what came of it, as a table in Markdown."""
    return "\n\n".join(_section(one) for one in soaked)


def _section(soaked: Soaked) -> str:
    verdict = soaked.verdict
    rows = [
        ("faults", str(soaked.faults.total())),
        *((f"- {name}", str(count)) for name, count in sorted(soaked.faults.items())),
        ("workers ended", str(soaked.crashes)),
        ("commands", f"{verdict.commands} ({verdict.unconfirmed} unconfirmed)"),
        ("events", str(verdict.events)),
        ("lost", str(verdict.lost)),
        ("effects twice", str(verdict.effects_twice)),
        ("answers that differ", str(verdict.answers_that_differ)),
        ("out of order", str(verdict.out_of_order)),
        ("violations in all", str(len(verdict.violations))),
        ("recovered in", f"{verdict.recovery_s:.1f} s"),
        *((name, f"{was} before, {now} after") for name, was, now in _occupied(soaked.before, soaked.after)),
    ]
    title = f"{soaked.setup}: {soaked.length_s / 60:.1f} minutes"
    lines = [f"| {title} | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]
    return "\n".join(lines if verdict.is_good else [*lines, "", str(verdict)])


def _occupied(before: Footprint, after: Footprint) -> list[tuple[str, str, str]]:
    counted = [
        (name, str(getattr(before, name)), str(getattr(after, name)))
        for name in ("connections", "channels", "tasks", "fds")
    ]
    return [*counted, ("memory", f"{before.rss_bytes / MIB:.0f} MiB", f"{after.rss_bytes / MIB:.0f} MiB")]
