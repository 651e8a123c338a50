"""The demo's cast: the same by the same seed, everybody in it, and each command knows what it is owed."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest

from devtools.demo.acts import Act, Ask, Part, Spoilt, Throw, Vanish
from devtools.demo.board import Mood
from devtools.demo.cast import DEVICES, RUSH, cast
from devtools.demo.ledger import Answer
from devtools.demo.pen import Pen
from devtools.demo.telling import remark

SEEDS = range(20)
LATE = 0.05  # of the demo: as much as an act may be later than its moment says, for those before it


def acts(parts: Sequence[Part]) -> Iterator[Act]:
    return (act for part in parts for act in part.acts)


def asks(part: Part) -> list[Ask]:
    return [act.ask if isinstance(act, Vanish) else act for act in part.acts if not isinstance(act, Throw)]


def test_the_same_seed_gives_the_same_cast_and_another_another() -> None:
    assert cast(7) == cast(7) != cast(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_fifty_devices_with_a_name_each(seed: int) -> None:
    assert len({part.device_id for part in cast(seed)}) == DEVICES == 50


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_that_can_go_wrong_is_in_it(seed: int) -> None:
    parts = cast(seed)
    owed = Counter(ask.expects for part in parts for ask in asks(part))
    assert {"created", "reused", "stopped", "already_stopped", "found"} <= owed.keys()
    assert {"not_found", "unknown_command", "too_large", "invalid", "message_id_reused"} <= owed.keys()
    assert {act.spoilt for act in acts(parts) if isinstance(act, Throw)} == {*Spoilt}
    assert sum(isinstance(act, Vanish) for act in acts(parts)) == 1
    assert any(ask.times > 1 for part in parts for ask in asks(part))


@pytest.mark.parametrize("seed", SEEDS)
def test_most_devices_want_something_when_the_worker_is_killed(seed: int) -> None:
    assert sum(any(RUSH <= act.at < RUSH + 0.02 for act in part.acts) for part in cast(seed)) > 40


@pytest.mark.parametrize("seed", SEEDS)
def test_a_part_goes_forward_and_is_over_before_the_end(seed: int) -> None:
    for part in cast(seed):
        moments = [act.at for act in part.acts]
        assert all(0 <= at <= 1 for at in moments)
        assert all(after > before - LATE for before, after in pairwise(moments))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_message_id_is_used_again_for_the_same_command_only_or_is_refused(seed: int) -> None:
    for part in cast(seed):
        said: defaultdict[str, set[tuple[str, str, str]]] = defaultdict(set)
        for ask in asks(part):
            if ask.expects != "message_id_reused":
                said[ask.message_id].add((ask.command, ask.body, ask.expects))
        assert all(len(some) == 1 for some in said.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_bodies_without_an_answer_are_alike(seed: int) -> None:
    bodies = [act.body for act in acts(cast(seed)) if isinstance(act, Throw)]
    assert len(bodies) == len({*bodies}) > 5


def test_what_a_command_is_owed_follows_the_life_of_its_device() -> None:
    pen = Pen("cam-1")
    for act in (pen.get, pen.stop, pen.create, pen.create, pen.get, pen.stop, pen.stop, pen.get, pen.create):
        act(0.5)
    part = Part(device_id="cam-1", acts=pen.acts)
    words = [
        "not_found",
        "not_found",
        "created",
        "reused",
        "found",
        "stopped",
        "already_stopped",
        "found",
        "created",
    ]
    assert [ask.expects for ask in asks(part)] == words
    assert {ask.body for ask in asks(part)} == {json.dumps({"device_id": "cam-1"})}
    assert len({ask.message_id for ask in asks(part)}) == len(words)


def an_ask(**changed: object) -> Ask:
    good = {"at": 0.1, "command": "stream.stop", "body": "{}", "message_id": "m", "expects": "stopped"}
    return Ask(**good | changed)  # type: ignore[arg-type]


def an_answer(word: str = "stopped", text: str = "s-1") -> Answer:
    return Answer(word=word, text=text, stream_id=text or None)


@pytest.mark.parametrize(
    ("ask", "answers", "before", "told"),
    [
        (an_ask(), [an_answer()], None, None),
        (an_ask(telling="stops"), [an_answer()], None, ("stops: stopped", Mood.ODD)),
        (
            an_ask(telling="says it twice", times=2),
            [an_answer()] * 2,
            None,
            ("says it twice: one answer", Mood.ODD),
        ),
        (an_ask(telling="again"), [an_answer()], an_answer(), ("again: the same answer", Mood.ODD)),
        (
            an_ask(telling="asks", expects="not_found"),
            [an_answer("not_found", "")],
            None,
            ("asks: refused, not_found", Mood.ODD),
        ),
        (an_ask(), [], None, ("sends stream.stop: no answer", Mood.BAD)),
        (an_ask(times=2), [an_answer()], None, ("sends stream.stop: no answer", Mood.BAD)),
        (an_ask(), [an_answer("found")], None, ("sends stream.stop: found, not stopped", Mood.BAD)),
        (an_ask(telling="again"), [an_answer()], an_answer(text="s-2"), ("again: another answer", Mood.BAD)),
        (
            an_ask(telling="twice", times=2),
            [an_answer(), an_answer(text="s-2")],
            None,
            ("twice: another answer", Mood.BAD),
        ),
    ],
)
def test_what_is_told_of_a_command_is_what_came_of_it(
    ask: Ask, answers: Sequence[Answer], before: Answer | None, told: tuple[str, Mood] | None
) -> None:
    assert remark(ask, answers, before=before) == told
