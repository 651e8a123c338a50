"""How a failpoint is told, and what cannot be told."""

import pytest

from tests.faults.failpoints import ENDS, FOR_ENDS_ONLY, Action, Failpoint, FailpointHit, Point


def test_a_failpoint_is_told_by_its_name_its_action_and_which_passing() -> None:
    failpoint = Failpoint.parse("after_commit:delay:5")
    assert (failpoint.point, failpoint.action, failpoint.nth) == (Point.AFTER_COMMIT, Action.DELAY, 5)


@pytest.mark.parametrize(
    "written", ["after_commit:kill", "after_lunch:kill:1", "after_commit:nap:1", "in_commit:kill:x"]
)
def test_what_is_no_failpoint_is_refused(written: str) -> None:
    with pytest.raises(ValueError):
        Failpoint.parse(written)


@pytest.mark.parametrize("point", Point)
@pytest.mark.parametrize("action", Action)
def test_an_instant_at_which_nothing_of_ours_runs_takes_no_action_but_an_end(point: Point, action: Action) -> None:
    written = f"{point}:{action}:1"
    if point in FOR_ENDS_ONLY and action not in ENDS:
        with pytest.raises(ValueError, match=f"at {point} a worker can only be ended or frozen, not {action}"):
            Failpoint.parse(written)
    else:
        assert Failpoint.parse(written).action is action


async def test_it_acts_at_its_passing_and_at_no_other() -> None:
    failpoint = Failpoint.parse("after_commit:raise:2")
    await failpoint.passes(Point.AFTER_COMMIT)
    await failpoint.passes(Point.AFTER_ACK)
    with pytest.raises(FailpointHit):
        await failpoint.passes(Point.AFTER_COMMIT)
    await failpoint.passes(Point.AFTER_COMMIT)
