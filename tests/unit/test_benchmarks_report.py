"""From samples to what a reader sees: spreads, targets, floors, tables, plots and the document."""

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import floors, plots, results, tables
from benchmarks.document import filled
from benchmarks.judge import objections
from benchmarks.machine import Machine, cpu_s, peak_bytes
from benchmarks.measures.latency import SLOW
from benchmarks.measures.throughput import MEASURE as THROUGHPUT
from benchmarks.progress import Progress
from benchmarks.results import Results
from benchmarks.samples import Sample, Samples
from benchmarks.spread import percentile, spread
from benchmarks.svg import Picture
from benchmarks.targets import TARGETS

AGAINST_FASTSTREAM = "throughput against FastStream, prefetch 1, sqlite"
CPU_AGAINST_ECHO = "CPU a command against the echo, sqlite"


def _samples(*, ours: float = 2_000, cpu_us: float = 300, broken: int = 0) -> Samples:
    def throughput(system: str, per_s: float, cpu_us: float, number: int, **more: int) -> Sample:
        values = {"per_s": per_s, "cpu_us": cpu_us}
        return Sample(measure=THROUGHPUT, system=system, round=number, values=values, broken=more)

    wrong = {"unanswered": broken} if broken else {}
    return Samples(
        [
            *(throughput("worker-sqlite", ours * n, cpu_us, n) for n in (1, 2)),
            throughput("worker-sqlite", ours * 3, cpu_us, 3, **wrong),
            throughput("echo", 4_000, 300, 1),
            throughput("faststream-1-sqlite", 100, 3_000, 1),
            throughput("faststream-100-sqlite", 150, 2_000, 1, unanswered=8),
            Sample(
                measure=SLOW,
                system="worker-sqlite",
                round=1,
                values={"p50_ms": 8, "p90_ms": 12, "p99_ms": 40, "asked_per_s": 50},
            ),
        ]
    )


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    found = spread([5, 1, 3, 2, 4])
    assert (found.low, found.median, found.high, found.count) == (2, 3, 4, 5)
    alone = spread([7])
    assert (alone.low, alone.median, alone.high, alone.count) == (7, 7, 7, 1)


def test_a_percentile_is_a_value_that_so_many_percent_do_not_exceed() -> None:
    values = list(range(1, 101))
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7], 99) == 7


def test_a_target_compares_medians_and_knows_whether_it_is_met() -> None:
    found = {target.key: target for target in TARGETS}
    samples = _samples()
    ratio = found[AGAINST_FASTSTREAM].value(samples)
    assert ratio == 40
    assert found[AGAINST_FASTSTREAM].is_met(40)
    assert not found[AGAINST_FASTSTREAM].is_met(14.9)
    assert found[CPU_AGAINST_ECHO].is_met(1.0)
    assert not found[CPU_AGAINST_ECHO].is_met(1.1)


def test_what_was_not_measured_has_no_row() -> None:
    text = tables.targets(_samples())
    assert "throughput against FastStream" in text
    assert "memory" not in text
    assert "| postgresql" not in text


def test_a_missed_target_is_in_bold() -> None:
    assert "**no**" in tables.targets(_samples(ours=100))
    assert "**no**" not in tables.targets(_samples(ours=4_000))


def test_floors_are_a_fifth_under_what_is_measured_and_ceilings_as_far_above() -> None:
    found = floors.floors_of(_samples())
    assert found[AGAINST_FASTSTREAM] == 32
    assert found[CPU_AGAINST_ECHO] == 1.25


def test_floors_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "floors.json"
    assert floors.read(file) == {}
    floors.write(_samples(), file)
    assert floors.read(file) == floors.floors_of(_samples())


@pytest.mark.parametrize(
    ("samples", "count"),
    [
        (_samples(), 0),
        (_samples(ours=2_000 * 0.81, cpu_us=300 / 0.81), 0),
        (_samples(ours=2_000 * 0.79), 2),  # against FastStream and against the echo
        (_samples(cpu_us=300 / 0.79), 1),
        (_samples(broken=1), 1),
    ],
    ids=["as it was", "nearly a fifth worse", "slower", "dearer", "the worker broke a promise"],
)
def test_a_run_is_objected_to_where_it_is_more_than_a_fifth_worse_or_wrong(samples: Samples, count: int) -> None:
    assert len(objections(samples, floors.floors_of(_samples()))) == count


def test_numbers_have_no_more_digits_than_they_deserve() -> None:
    assert [tables.number(value) for value in (12_345.6, 99.96, 12.34, 1.234, 3.0)] == [
        *("12,346", "100.0", "12.3", "1.23", "3")
    ]


def test_a_table_shows_medians_with_quartiles() -> None:
    text = tables.spreads(_samples(), THROUGHPUT, [("commands a second", "per_s")])
    assert "| worker-sqlite         | 4,000 (3,000 … 5,000) |      3 |" in text
    assert "| echo                  |                 4,000 |      1 |" in text


def test_what_peers_broke_is_shown_trial_by_trial() -> None:
    assert "| faststream-100-sqlite | unanswered     |             8 |" in tables.broken(_samples())


def test_every_plot_is_well_formed_and_names_who_was_measured() -> None:
    written = plots.plots(_samples())
    assert set(written) == {"throughput.svg", "cpu.svg", "latency.svg"}
    for text in written.values():
        assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own
        assert "worker-sqlite" in text


def test_plots_of_nothing_are_empty_and_no_error() -> None:
    for text in plots.plots(Samples()).values():
        assert ET.fromstring(text).tag.endswith("svg")  # noqa: S314 - our own


def test_only_what_stands_between_markers_is_written_anew() -> None:
    before = "# A\n\n<!-- measured: one -->\nold\n<!-- end -->\n\nkept\n\n<!-- measured: two -->\n<!-- end -->\n"
    after = filled(before, {"one": "1", "two": "2"})
    assert after == before.replace("old", "1").replace("two -->\n", "two -->\n2\n")
    assert filled(after, {"one": "1", "two": "2"}) == after


def test_a_marker_that_nothing_was_measured_for_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("<!-- measured: three -->\n<!-- end -->", {})


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    machine = Machine(processor="p", cores=2, memory_gib=4.0, system="Linux", versions={"python": "3"})
    samples = _samples()
    Results(at="2026", plan="quick", seed="1", machine=machine, samples=samples).write(tmp_path)
    found = results.read("quick", tmp_path)
    assert found is not None
    assert (found.machine, found.seed, list(found.samples)) == (machine, "1", list(samples))
    assert results.read("default", tmp_path) is None


def test_everything_that_was_measured_can_be_shown() -> None:
    text = tables.everything(_samples())
    for word in (THROUGHPUT, SLOW, "cpu_us", "p99_ms", "worker-sqlite", "unanswered"):
        assert word in text


def test_a_table_without_rows_says_so() -> None:
    assert tables.everything(Samples()) == tables.targets(Samples()) == "Not measured yet."


def test_a_picture_takes_any_text() -> None:
    picture = Picture(width=1, height=1, says="<&>")
    picture.text(0, 0, "a < b & c")
    title, _, text = ET.fromstring(picture.written())  # noqa: S314 - our own
    assert (title.text, text.text) == ("<&>", "a < b & c")


def test_progress_says_what_runs_and_how_long_still(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(seconds=90)
    progress.begins("one", seconds=30)
    progress.ends()
    first, last = capsys.readouterr().err.splitlines()
    assert first == "0:00  about 1:30 left  one"
    assert last == "0:00  done"


def test_a_process_has_used_processor_time_and_memory() -> None:
    assert cpu_s(os.getpid()) > 0
    assert peak_bytes(os.getpid()) > 1024**2
