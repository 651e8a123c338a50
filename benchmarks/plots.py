"""The plots of docs/performance.md. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.measures.latency import SLOW
from benchmarks.measures.throughput import MEASURE as THROUGHPUT
from benchmarks.samples import Samples
from benchmarks.spread import Spread
from benchmarks.svg import Picture, colour_of
from benchmarks.systems import THE_BATCHED_ECHO, THE_ECHO, WORKER
from benchmarks.tables import number

_WIDTH: Final = 760
_LEFT: Final = 220
_RIGHT: Final = 90
_TOP: Final = 56
_ROW: Final = 26
_BAR: Final = 16
_RADIUS: Final = 4.5
_PERCENTILES: Final = ("p50_ms", "p90_ms", "p99_ms")
_CEILINGS: Final = (THE_ECHO.name, THE_BATCHED_ECHO.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    system: str
    spread: Spread

    @property
    def colour(self) -> str:
        return _colour(self.system)


def _colour(system: str) -> str:
    return colour_of(system, ours=WORKER, ceilings=_CEILINGS)


def plots(samples: Samples) -> Mapping[str, str]:
    """Return the SVG of each plot by the name of its file."""
    return {
        "throughput.svg": bars(
            samples, "per_s", title="Commands a second", note="more is better; the line spans the quartiles"
        ),
        "cpu.svg": bars(
            samples, "cpu_us", title="CPU a command, in µs", note="less is better; the line spans the quartiles"
        ),
        "latency.svg": latencies(samples),
    }


def bars(samples: Samples, value: str, *, title: str, note: str) -> str:
    """Return a bar for each system that was measured for throughput, the best first."""
    found = [(system, samples.spread(THROUGHPUT, system, value)) for system in samples.systems(THROUGHPUT)]
    rows = [_Row(system=system, spread=spread) for system, spread in found if spread is not None]
    rows.sort(key=lambda row: row.spread.median, reverse=value == "per_s")
    picture = _begun(title, note, [row.system for row in rows])
    scale = (_WIDTH - _LEFT - _RIGHT) / max((row.spread.high for row in rows), default=1)
    for place, row in enumerate(rows):
        middle = _middle(place)
        spread = row.spread
        picture.bar(_LEFT, middle - _BAR / 2, width=spread.median * scale, height=_BAR, colour=row.colour)
        picture.line((_LEFT + spread.low * scale, middle), (_LEFT + spread.high * scale, middle), style="whisker")
        picture.text(_LEFT + spread.high * scale + 6, middle + 4, number(spread.median))
    return picture.written()


def latencies(samples: Samples) -> str:
    """Return the percentiles of each system at 50 commands a second as dots on a scale of powers of ten."""
    found = [
        (system, [samples.median(SLOW, system, value) for value in _PERCENTILES])
        for system in samples.systems(SLOW)
    ]
    rows = [(system, [v for v in values if v is not None]) for system, values in found]
    rows = [(system, values) for system, values in rows if len(values) == len(_PERCENTILES)]
    title, note = "Reply latency at 50 commands a second, in ms", "filled: p50; rings: p90 and p99; less is better"
    picture = _begun(title, note, [system for system, _ in rows])
    everything = [value for _, values in rows for value in values]
    low = math.floor(math.log10(min(everything, default=1)))
    high = max(low + 1, math.ceil(math.log10(max(everything, default=10))))
    step = (_WIDTH - _LEFT - _RIGHT) / (high - low)

    def x(value: float) -> float:
        return _LEFT + (math.log10(value) - low) * step

    bottom = _middle(len(rows)) - _ROW / 2
    for power in range(low, high + 1):
        picture.line((x(10**power), _TOP), (x(10**power), bottom), style="rule")
        picture.text(x(10**power), bottom + 16, f"{10.0**power:g}", anchor="middle", style="faint")
    for place, (system, values) in enumerate(rows):
        middle = _middle(place)
        picture.line((x(values[0]), middle), (x(values[-1]), middle), style="rule")
        for number_, value in enumerate(values):
            picture.dot(x(value), middle, radius=_RADIUS, colour=_colour(system), is_filled=number_ == 0)
    return picture.written()


def _begun(title: str, note: str, systems: Sequence[str]) -> Picture:
    """Return a picture with its words: a title, what to look for, and a row for each system."""
    picture = Picture(width=_WIDTH, height=round(_middle(len(systems))) + _ROW // 2, says=f"{title}; {note}")
    picture.text(0, 18, title, style="title")
    picture.text(0, 38, note, style="faint")
    for place, system in enumerate(systems):
        picture.text(_LEFT - 10, _middle(place) + 4, system, anchor="end")
    return picture


def _middle(place: int) -> float:
    """Where the row of this place has its middle."""
    return _TOP + place * _ROW + _ROW / 2
