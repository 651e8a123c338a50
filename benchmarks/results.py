"""The results of a run as JSON: what was measured, when, on what, and by which seed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.machine import Machine
from benchmarks.samples import Samples

FOLDER: Final = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One run. `at` is its date, `plan` its size."""

    at: str
    plan: str
    seed: str
    machine: Machine
    samples: Samples

    def write(self, folder: Path = FOLDER) -> None:
        """Put them in the place of the last ones of the same size."""
        folder.mkdir(exist_ok=True)
        document = {
            "at": self.at,
            "plan": self.plan,
            "seed": self.seed,
            "machine": asdict(self.machine),
            "samples": self.samples.as_json(),
        }
        (folder / f"{self.plan}.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def read(plan: str, folder: Path = FOLDER) -> Results | None:
    """Return the last results of a size; None where there are none."""
    file = folder / f"{plan}.json"
    if not file.is_file():
        return None
    document: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return Results(
        at=document["at"],
        plan=document["plan"],
        seed=document["seed"],
        machine=Machine(**document["machine"]),
        samples=Samples.from_json(document["samples"]),
    )
