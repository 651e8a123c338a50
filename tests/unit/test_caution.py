"""When a consumer may go wide."""

from collections.abc import Sequence

import pytest

from tests.support.making import Tag
from worker.service.caution import RETURNS_MAX, Caution


def batch(*delivery_counts: int) -> Sequence[Tag]:
    return [Tag(tag=number, delivery_count=count) for number, count in enumerate(delivery_counts, 1)]


NEW = batch(0, 0)


@pytest.mark.parametrize(
    ("deliveries", "lets"), [(NEW, True), (batch(1), False), (batch(0, 1, 0), False), (batch(), False)]
)
def test_at_first_only_a_batch_lets_in_which_nothing_came_again(deliveries: Sequence[Tag], lets: bool) -> None:  # noqa: FBT001 - a table
    assert Caution().lets_widen(deliveries) is lets


def test_what_came_again_does_not_make_the_rest_of_it_trusted() -> None:
    caution = Caution()

    assert [caution.lets_widen(batch(1)) for _ in range(3)] == [False] * 3


def test_past_what_was_there_before_it_what_came_again_lets_too() -> None:
    caution = Caution()
    caution.lets_widen(NEW)

    assert caution.lets_widen(batch(1))
    assert caution.lets_widen(batch(RETURNS_MAX, 0))


def test_a_batch_with_something_that_came_back_too_often_never_lets() -> None:
    caution = Caution()
    caution.lets_widen(NEW)

    assert not caution.lets_widen(batch(0, RETURNS_MAX + 1))
    assert caution.lets_widen(NEW)


def test_an_empty_batch_shows_nothing() -> None:
    caution = Caution()

    assert not caution.lets_widen(batch())
    assert not caution.lets_widen(batch(1))
    caution.lets_widen(NEW)
    assert not caution.lets_widen(batch())
