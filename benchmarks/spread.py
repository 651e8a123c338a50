"""Numbers of one kind: their middle, and how far they lie apart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import quantiles

_QUARTERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median and the quartiles of `count` values. The quartiles of a single one are itself."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    if len(values) == 1:
        return Spread(median=values[0], low=values[0], high=values[0], count=1)
    low, middle, high = quantiles(values, n=_QUARTERS, method="inclusive")
    return Spread(median=middle, low=low, high=high, count=len(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least value that so many percent of at least one value do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
