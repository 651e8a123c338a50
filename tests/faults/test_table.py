"""The table at the end of a run of the matrix."""

from pathlib import Path

import pytest

from tests.faults.checks.verdict import Verdict
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.matrix import FAULTS, Choice, cases, rounds, short_cases
from tests.faults.table import BEGIN, END, sections, write_into
from tests.faults.trial import Fault, Outcome
from tests.faults.world import SETUPS, World


async def _nothing(_world: World) -> None:
    """It need not happen here."""


CALM = Fault(group="weather", name="calm", act=_nothing)
QUAKE = Fault(group="ground", name="quake", act=_nothing)
STORM = Fault(group="weather", name="storm", act=_nothing, harms_servers=True)


def an_outcome(fault: Fault, *violated: Invariant, commands: int = 1_000, recovery_s: float = 0.5) -> Outcome:
    violations = [Violation(invariant=invariant, what="one", detail="") for invariant in violated]
    verdict = Verdict(commands=commands, unconfirmed=0, events=0, recovery_s=recovery_s, violations=violations)
    return Outcome(fault=fault, setup=SETUPS[0], seed=1, verdict=verdict, record=Path("record"))


def a_failure(fault: Fault) -> Outcome:
    return Outcome(fault=fault, setup=SETUPS[0], seed=1, verdict=None, trouble="too late", record=Path("record"))


def rows_of(*outcomes: Outcome) -> list[str]:
    (section,) = sections(outcomes, said="today").values()
    return section.splitlines()[6:]


def test_a_row_adds_up_the_trials_of_a_fault() -> None:
    outcomes = [an_outcome(CALM), an_outcome(CALM, Invariant.I1, Invariant.I6, recovery_s=2.25), an_outcome(STORM)]
    assert rows_of(*outcomes) == [
        "| calm | 2 | 2,000 | 1 | 0 | 0 | 1 | 0 | 2.2 |",
        "| storm | 1 | 1,000 | 0 | 0 | 0 | 0 | 0 | 0.5 |",
        "| **all** | 3 | 3,000 | 1 | 0 | 0 | 1 | 0 | 2.2 |",
    ]


@pytest.mark.parametrize("invariant", Invariant)
def test_no_violation_stays_out_of_the_table(invariant: Invariant) -> None:
    (row, _) = rows_of(an_outcome(CALM, invariant))
    assert sum(map(int, row.split("|")[4:9])) == 1


def test_a_trial_that_failed_is_no_trial_that_went_well() -> None:
    assert rows_of(a_failure(CALM))[0] == "| calm | 1, 1 of them failed | 0 | 0 | 0 | 0 | 0 | 0 | 0.0 |"
    assert not a_failure(CALM).is_good


def test_a_section_says_what_it_is_of_and_when_and_where_it_was() -> None:
    found = sections([an_outcome(CALM), an_outcome(QUAKE)], said="2026-01-02, 2 CPUs.")
    assert list(found) == ["weather", "ground"]
    assert found["ground"].startswith("### ground\n\n2026-01-02, 2 CPUs.\n\n| fault | runs |")


def test_a_section_takes_the_place_of_the_one_before_and_leaves_the_others(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"Above.\n{BEGIN}\n{END}\nBelow.\n")
    write_into(document, {"weather": "### weather\n\nold\n", "ground": "### ground\n\nold\n"})
    write_into(document, {"weather": "### weather\n\nnew\n", "sea": "### sea\n\nnew\n"})
    inside = "### weather\n\nnew\n\n### ground\n\nold\n\n### sea\n\nnew\n"
    assert document.read_text() == f"Above.\n{BEGIN}\n\n{inside}\n{END}\nBelow.\n"


def test_a_document_without_a_place_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("Nothing here.\n")
    with pytest.raises(ValueError, match="no place"):
        write_into(document, {"weather": "### weather\n"})
    assert document.read_text() == "Nothing here.\n"


def test_names_are_unique_and_every_run_has_a_seed_of_its_own() -> None:
    chosen = cases(Choice(), runs=2, seed=7)
    assert (
        len({(str(case), case.seed) for case in chosen}) == len(chosen) == 2 * sum(len(f.setups) for f in FAULTS)
    )
    assert {case.seed for case in chosen} == {7, 8}


def test_a_choice_is_of_a_group_of_words_and_of_setups() -> None:
    chosen = cases(Choice(group="worker", only="after commit", setups=SETUPS[:1]), runs=1, seed=1)
    assert {case.fault.group for case in chosen} == {"worker"}
    assert all("after commit" in case.fault.name for case in chosen)
    assert {case.setup for case in chosen} == {SETUPS[0]}


def test_what_harms_a_server_has_nobody_beside_it() -> None:
    together = list(rounds(cases(Choice(), runs=1, seed=1), at_once=3))
    assert all(len(round_) == 1 for round_ in together if any(case.fault.harms_servers for case in round_))
    assert sum(map(len, together)) == sum(len(fault.setups) for fault in FAULTS)


def test_every_group_is_part_of_the_short_form_and_so_is_every_setup() -> None:
    chosen = short_cases(seed=1)
    assert {case.fault.group for case in chosen} == {fault.group for fault in FAULTS}
    assert {case.setup for case in chosen} == set(SETUPS)
