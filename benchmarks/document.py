"""docs/performance.md: what stands between its markers is written by a run, and so are the plots beside it."""

import re
from collections.abc import Mapping
from typing import Final

from benchmarks import plots, results, tables
from benchmarks.measures import backlog, history, statements
from benchmarks.measures.latency import HALF, SLOW
from benchmarks.measures.start import HELP, READY
from benchmarks.measures.throughput import MEASURE as THROUGHPUT
from benchmarks.results import Results
from benchmarks.samples import Samples
from benchmarks.systems import WORKER
from devtools.project import ROOT

FILE: Final = ROOT / "docs/performance.md"
PLOTS: Final = ROOT / "docs/performance"

_PART: Final = "<!-- measured: {name} -->\n{text}\n<!-- end -->"
_PARTS: Final = re.compile(r"<!-- measured: (?P<name>[a-z ]+) -->\n.*?<!-- end -->", re.DOTALL)
_LATENCIES: Final = (("p50 in ms", "p50_ms"), ("p90 in ms", "p90_ms"), ("p99 in ms", "p99_ms"))
_PACED: Final = (("commands a second", "asked_per_s"), *_LATENCIES, ("behind at the end", "behind"))
_COSTS: Final = (("commands a second", "per_s"), ("CPU a command in µs", "cpu_us"))


def write_document() -> None:
    """Write the tables and the plots anew from the last results: of the default run (else the quick one) and of
    the large one.
    """
    runs = (results.read("default") or results.read("quick"), results.read("large"))
    found = [run for run in runs if run is not None]
    samples = Samples([sample for one in found for sample in one.samples])
    FILE.write_text(filled(FILE.read_text("utf-8"), parts(samples, found)), "utf-8")
    PLOTS.mkdir(exist_ok=True)
    for name, text in plots.plots(samples).items():
        (PLOTS / name).write_text(text, "utf-8")


def filled(document: str, texts: Mapping[str, str]) -> str:
    """Return the document with these texts between their markers. Raises KeyError for a marker that has none."""
    return _PARTS.sub(lambda found: _PART.format(name=found["name"], text=texts[found["name"]]), document)


def parts(samples: Samples, runs: "list[Results]") -> Mapping[str, str]:
    """Return what stands between the markers, by their names."""
    seconds = [("seconds", "s")]
    return {
        "targets": tables.targets(samples),
        "throughput": tables.spreads(samples, THROUGHPUT, _COSTS),
        "broken": tables.broken(samples, lambda system: not system.startswith(WORKER)),
        "latency": tables.spreads(samples, SLOW, _LATENCIES),
        "half": tables.spreads(samples, HALF, _PACED),
        "past": tables.spreads(samples, history.MEASURE, _COSTS),
        "memory": tables.spreads(samples, backlog.MEASURE, [("MiB at most", "mib")]),
        "statements": tables.spreads(samples, statements.MEASURE, [("statements at most", "most")]),
        "start": "\n\n".join(tables.spreads(samples, measure, seconds) for measure in (HELP, READY)),
        "run": "\n".join(_run(run) for run in runs),
    }


def _run(run: Results) -> str:
    machine = run.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"- the {run.plan} run: {run.at}, seed {run.seed}; {machine.cores} cores ({machine.processor}), "
        f"{machine.memory_gib:g} GiB, {machine.system}; {versions}"
    )
