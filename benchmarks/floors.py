"""The guard: what the ratios may not fall below, a fifth under what was once measured. Pure but for one file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.samples import Samples
from benchmarks.targets import TARGETS, Target

FILE: Final = Path(__file__).parent / "floors.json"

_KEPT: Final = 0.8
_DIGITS: Final = 3


def guarded(samples: Samples) -> Sequence[tuple[Target, float]]:
    """Return the ratios that a floor can hold, as far as they were measured."""
    found = [(target, target.value(samples)) for target in TARGETS if target.is_guarded]
    return [(target, value) for target, value in found if value is not None]


def floors_of(samples: Samples) -> Mapping[str, float]:
    """Return the floors for what was measured: four fifths of a ratio that should be high, five quarters of a low
    one.
    """
    return {
        target.key: round(value * _KEPT if target.at_least else value / _KEPT, _DIGITS)
        for target, value in guarded(samples)
    }


def fallen(samples: Samples, floors: Mapping[str, float]) -> Sequence[str]:
    """Return a line for each ratio that is worse than its floor."""
    lines = []
    for target, value in guarded(samples):
        floor = floors.get(target.key)
        if floor is not None and (value < floor if target.at_least else value > floor):
            lines.append(f"{target.key}: {value:.2f}, {'under' if target.at_least else 'over'} {floor:.2f}")
    return lines


def read(file: Path = FILE) -> Mapping[str, float]:
    """Return the floors that stand in the file; none where there is no file."""
    if not file.is_file():
        return {}
    floors: dict[str, float] = json.loads(file.read_text("utf-8"))
    return floors


def write(samples: Samples, file: Path = FILE) -> None:
    """Put floors for what was measured in the place of those that stand there."""
    file.write_text(json.dumps(floors_of(samples), indent=2) + "\n", "utf-8")
