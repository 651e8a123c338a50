"""What was measured: a flat list of samples, which the tables, the plots, the targets and the floors all read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.spread import Spread, spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One trial: which measure, of which system, in which round. `broken`: promises, counted by kind."""

    measure: str
    system: str
    round: int
    values: Mapping[str, float]
    broken: Mapping[str, int] = field(default_factory=dict)


class Samples:
    """All samples of one run."""

    def __init__(self, samples: Sequence[Sample] = ()) -> None:
        self._samples = list(samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def add(self, sample: Sample) -> None:
        """Keep one more."""
        self._samples.append(sample)

    def of(self, measure: str, system: str | None = None) -> Sequence[Sample]:
        """Return those of a measure, in the order of their measurement; of all systems or of one."""
        return [s for s in self._samples if s.measure == measure and system in {None, s.system}]

    def systems(self, measure: str) -> Sequence[str]:
        """Return who was measured, in the order of the first samples."""
        return list(dict.fromkeys(sample.system for sample in self.of(measure)))

    def spread(self, measure: str, system: str, value: str) -> Spread | None:
        """Return the spread of a value over the rounds; None where it was not measured."""
        values = [sample.values[value] for sample in self.of(measure, system) if value in sample.values]
        return spread(values) if values else None

    def median(self, measure: str, system: str, value: str) -> float | None:
        """Return the median of a value over the rounds; None where it was not measured."""
        found = self.spread(measure, system, value)
        return None if found is None else found.median

    def as_json(self) -> list[dict[str, Any]]:
        """Return them as JSON has them; `from_json` reads it."""
        return [asdict(sample) for sample in self._samples]

    @classmethod
    def from_json(cls, rows: Sequence[Mapping[str, Any]]) -> "Samples":
        """Read what `as_json` returned."""
        return cls([Sample(**row) for row in rows])
