"""Each problem is an exception of its own, and one that nobody knows yet is still a problem."""

import pytest

import stream_client
from schemas import PROBLEMS, Problem, ProblemCode, read_problem, write_problem
from stream_client.problems import PROBLEM_CLASSES, StreamProblem, refusal


def test_every_code_that_there_is_has_a_class_and_no_other() -> None:
    assert set(PROBLEM_CLASSES) == set(PROBLEMS) == set(ProblemCode)


@pytest.mark.parametrize("code", ProblemCode)
def test_a_problem_is_raised_as_the_class_that_its_code_names(code: ProblemCode) -> None:
    problem = read_problem(write_problem(Problem.make(code, "So it is.")))
    named = "Stream" + "".join(word.capitalize() for word in code.split("_"))

    error = refusal(problem)

    assert type(error).__name__ == named
    assert type(error) is getattr(stream_client, named)
    assert isinstance(error, StreamProblem)
    assert error.problem == problem
    assert str(error) == f"{PROBLEMS[code].title}: So it is."


def test_a_code_that_came_later_is_a_problem_with_that_code() -> None:
    body = write_problem(Problem.make(ProblemCode.FORBIDDEN, "It is night.")).replace(b"forbidden", b"at_night")

    error = refusal(read_problem(body))

    assert type(error) is StreamProblem
    assert error.problem.code == "at_night"
