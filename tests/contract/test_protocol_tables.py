"""The tables of docs/protocol.md are those of the models, and its advice is the guide's; what people wrote around
them stays.
"""

import re

import pytest

from devtools.contract.files import PROTOCOL
from devtools.contract.tables import PARTS, TABLES, UnknownPart, with_parts
from schemas import PROBLEMS, CommandName, EventName, Outcome, ProblemCode
from worker.amqp.topology import topology

TEXT = PROTOCOL.read_text("utf-8")


def test_the_tables_are_those_of_the_models() -> None:
    assert with_parts(TEXT) == TEXT, "docs/protocol.md is behind the models; run `make schemas`"


def test_every_part_stands_in_the_document_once() -> None:
    assert sorted(re.findall(r"<!-- (?:table|guide): (.+) -->", TEXT)) == sorted(PARTS)


def test_a_part_of_the_guide_is_all_of_its_section() -> None:
    advice = PARTS["Listen to events"]()

    assert advice.startswith("1. Declare a queue of your own")
    assert "### Repeats, gaps and order" in advice
    assert advice.endswith("the same consumer gets what happens.\n")


def test_what_stands_around_a_table_stays() -> None:
    around = with_parts("Before.\n<!-- table: limits -->\nold\n<!-- end -->\nAfter.\n")

    assert around.startswith("Before.\n<!-- table: limits -->\n\n| what |")
    assert around.endswith("\n<!-- end -->\nAfter.\n")
    assert "old" not in around
    assert with_parts(around) == around


def test_a_part_that_there_is_not_is_told() -> None:
    with pytest.raises(UnknownPart, match="nothing is called limts; there are "):
        with_parts("<!-- table: limts -->\n<!-- end -->\n")


def test_every_problem_stands_there_with_its_status() -> None:
    for code in ProblemCode:
        assert f"| `{code}` | {PROBLEMS[code].status} |" in TABLES["problems"]()


@pytest.mark.parametrize("count", [1, 2])
def test_every_object_of_the_broker_stands_there(count: int) -> None:
    rows = TABLES["objects"]().splitlines()
    declared = topology("streams", count)
    for exchange in declared.exchanges:
        assert any(row.startswith(f"| `{exchange.name}` | {exchange.kind} exchange") for row in rows)
    for queue in declared.queues[: -(count - 1) or None]:  # of the partitions the first speaks for all
        (row,) = [row for row in rows if row.startswith(f"| `{queue.name}`") and "| queue, durable |" in row]
        for argument in queue.arguments:
            assert f"`{argument}`" in row


def test_every_word_of_the_wire_is_explained() -> None:
    for word in (*CommandName, *EventName, *Outcome, *ProblemCode):
        assert f"`{word}`" in TEXT


def test_the_questions_that_people_ask_are_answered() -> None:
    _, _, questions = TEXT.partition("\n## Questions\n")
    answered = re.findall(r"^\*\*[^*]+\?\*\* \S", questions, re.MULTILINE)

    assert len(answered) == questions.count("\n**") > 5
