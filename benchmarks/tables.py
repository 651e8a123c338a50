"""Tables in Markdown, which read well on a terminal too. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks.samples import Samples
from benchmarks.spread import Spread
from benchmarks.targets import TARGETS, Target

_NOTHING: Final = "Not measured yet."
_FEW: Final = 10
_MANY: Final = 100

Row = Sequence[str]


def table(heading: Row, rows: Iterable[Row], *, words: int = 1) -> str:
    """Return a table: the first columns hold `words`, to the left, the others numbers, to the right. Without rows
    there is none.
    """
    all_rows = [heading, *rows]
    if len(all_rows) == 1:
        return _NOTHING
    widths = [max(len(row[column]) for row in all_rows) for column in range(len(heading))]

    def line(row: Row) -> str:
        cells = zip(row, widths, strict=True)
        return _line(
            cell.ljust(width) if column < words else cell.rjust(width)
            for column, (cell, width) in enumerate(cells)
        )

    rule = _line("-" * (width - 1) + ("-" if column < words else ":") for column, width in enumerate(widths))
    return "\n".join([line(heading), rule, *map(line, all_rows[1:])])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Return a number with no more digits than it deserves."""
    if value >= _MANY or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= _FEW else f"{value:.2f}"


def with_spread(spread: Spread | None) -> str:
    """Return the median and the quartiles; a dash for what was not measured."""
    if spread is None:
        return "-"
    if spread.count == 1:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)} … {number(spread.high)})"


def targets(samples: Samples) -> str:
    """Return what must be reached, and whether it was; what was not measured is left out."""
    rows = [row for target in TARGETS if (row := _target(target, samples))]
    return table(("", "database", "measured", "target", "met"), rows, words=2)


def _target(target: Target, samples: Samples) -> Row | None:
    value = target.value(samples)
    if value is None:
        return None
    unit = f" {target.unit}" if target.unit else ""
    sign = "≥" if target.at_least else "≤"
    asked = "-" if target.limit is None else f"{sign} {target.limit:g}{unit}"
    met = "-" if target.limit is None else "yes" if target.is_met(value) else "**no**"
    return target.name, target.database or "", f"{number(value)}{unit}", asked, met


def spreads(samples: Samples, measure: str, values: Sequence[tuple[str, str]]) -> str:
    """Return a row for each system: medians (and quartiles) of some `values`, each with its heading."""
    heading = ("", *(name for name, _ in values), "rounds")
    rows = [
        (
            system,
            *(with_spread(samples.spread(measure, system, value)) for _, value in values),
            str(len(samples.of(measure, system))),
        )
        for system in samples.systems(measure)
    ]
    return table(heading, rows)


def everything(samples: Samples) -> str:
    """Return a table for each measure, with all of its values."""
    names = {sample.measure: sample.values for sample in samples}
    texts = [
        f"{measure}\n\n{spreads(samples, measure, [(v, v) for v in values])}" for measure, values in names.items()
    ]
    return "\n\n".join([*texts, *([broken(samples)] if any(s.broken for s in samples) else [])]) or _NOTHING


def broken(samples: Samples, is_shown: Callable[[str], bool] = lambda _: True) -> str:
    """Return a row for each system and each kind of promise that it broke, with the counts of its rounds."""
    counts: dict[tuple[str, str], list[int]] = {}
    for sample in samples:
        for what, count in sample.broken.items():
            if is_shown(sample.system):
                counts.setdefault((sample.system, what), []).append(count)
    rows = [(system, what, ", ".join(map(str, some))) for (system, what), some in sorted(counts.items())]
    return table(("", "broken promise", "in each trial"), rows, words=2)
