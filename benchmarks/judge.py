"""What a run comes to: its ratios, and what speaks against it. Pure."""

from collections.abc import Mapping, Sequence

from benchmarks.floors import fallen
from benchmarks.samples import Samples
from benchmarks.systems import WORKER


def objections(samples: Samples, floors: Mapping[str, float]) -> Sequence[str]:
    """Return a line for each ratio that is worse than its floor, and for each promise that the worker broke."""
    broken = [
        f"{sample.system}, {sample.measure}, round {sample.round}: {what}: {count}"
        for sample in samples
        if sample.system.startswith(WORKER)
        for what, count in sample.broken.items()
    ]
    return [*broken, *fallen(samples, floors)]
