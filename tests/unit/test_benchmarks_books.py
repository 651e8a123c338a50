"""The books of a measurement: what was asked, answered and heard, and every way in which that can be wrong."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.books import Heard, broken, unechoed
from benchmarks.expected import events_of, expected
from benchmarks.load import CREATE, GET, STOP, Command, commands


def _asked(*kinds: str) -> list[Command]:
    return [Command(kind=kind, device_id="cam-1", message_id=f"m-{n}") for n, kind in enumerate(kinds)]


def _reply(outcome: str, stream_id: str = "s-1") -> bytes:
    return json.dumps({"outcome": outcome, "stream": {"id": stream_id}}).encode()


def _event(kind: str, sequence: int, stream_id: str = "s-1") -> bytes:
    stream = {"id": stream_id, "device_id": "cam-1"}
    event = {"type": f"stream.{kind}", "sequence": str(sequence), "data": {"stream": stream}}
    return json.dumps(event).encode()


ASKED = _asked(CREATE, CREATE, GET, STOP)
GOOD = Heard(
    replies=list(enumerate([_reply("created"), _reply("reused"), _reply("found"), _reply("stopped")])),
    events=[_event("created", 1), _event("stopped", 2)],
    left=0,
)


def _with_reply(number: int, body: bytes) -> Heard:
    return replace(GOOD, replies=[(n, body if n == number else before) for n, before in GOOD.replies])


def test_books_that_balance_have_nothing_broken() -> None:
    assert broken(ASKED, GOOD) == {}


def test_a_problem_is_a_reply_too() -> None:
    heard = Heard(replies=[(0, b'{"code": "not_found"}')], events=[], left=0)
    assert broken(_asked(GET), heard) == {}


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        (replace(GOOD, left=3), {"left in the queue": 3}),
        (replace(GOOD, replies=[GOOD.replies[0], *GOOD.replies[2:]]), {"unanswered": 1}),
        (replace(GOOD, replies=[*GOOD.replies, GOOD.replies[1]]), {"answered twice": 1}),
        (_with_reply(1, _reply("found")), {"answers not as one after another": 1}),
        (replace(GOOD, events=GOOD.events[:1]), {"events lost": 1, "devices with two active streams": 0}),
        (replace(GOOD, events=[*reversed(GOOD.events)]), {"devices with events out of order": 1}),
        (replace(GOOD, events=[*GOOD.events, GOOD.events[0]]), {}),
    ],
    ids=["left", "unanswered", "twice", "out of turn", "lost", "out of order", "an event again is allowed"],
)
def test_what_is_broken_is_counted(heard: Heard, found: dict[str, int]) -> None:
    assert broken(ASKED, heard) == {what: count for what, count in found.items() if count}


def test_two_facts_under_one_number_are_out_of_order() -> None:
    heard = replace(GOOD, events=[*GOOD.events, _event("created", 2, "s-2"), _event("stopped", 3, "s-2")])
    assert broken(ASKED, heard) == {"devices with events out of order": 1}


def test_two_active_streams_of_a_device_are_counted() -> None:
    heard = Heard(
        replies=[(0, _reply("created")), (1, _reply("created", "s-2"))],
        events=[_event("created", 1), _event("created", 2, "s-2")],
        left=0,
    )
    assert broken(_asked(CREATE, CREATE), heard) == {
        "answers not as one after another": 1,
        "devices with two active streams": 1,
    }


def test_a_repeat_that_is_answered_otherwise_and_takes_effect_again_is_counted() -> None:
    first = Command(kind=CREATE, device_id="cam-1", message_id="m-1")
    heard = Heard(
        replies=[(0, _reply("created")), (1, _reply("created", "s-2"))],
        events=[_event("created", 1), _event("stopped", 2), _event("created", 3, "s-2")],
        left=0,
    )
    assert broken([first, first], heard) == {"repeats answered otherwise": 1, "effects twice": 1}


@pytest.mark.parametrize(
    ("events", "found"),
    [([b"e"] * 2, {}), ([b"e"], {"events lost": 1}), ([b"e"] * 3, {"events too many": 1})],
)
def test_an_echo_owes_as_many_replies_and_events(events: Sequence[bytes], found: dict[str, int]) -> None:
    assert unechoed(ASKED, replace(GOOD, events=events)) == found


def test_the_load_has_its_shares_and_is_the_same_by_the_same_seed() -> None:
    made = commands(10_000, seed="1")
    kinds = Counter(command.kind for command in made)
    assert made == commands(10_000, seed="1") != commands(10_000, seed="2")
    assert {kind: round(count / 10_000, 1) for kind, count in kinds.items()} == {CREATE: 0.5, STOP: 0.3, GET: 0.2}
    assert len({command.device_id for command in made}) == pytest.approx(1_000, rel=0.01)
    assert 10_000 - len({command.message_id for command in made}) == pytest.approx(200, rel=0.4)


def test_what_is_expected_follows_the_life_of_a_device() -> None:
    kinds = [GET, STOP, CREATE, CREATE, GET, STOP, STOP, CREATE]
    words = ["not_found", "not_found", "created", "reused", "found", "stopped", "already_stopped", "created"]
    assert list(expected(_asked(*kinds))) == words
    assert events_of(_asked(*kinds)) == 3


def test_a_repeat_is_expected_to_hear_the_same_and_to_change_nothing() -> None:
    first = Command(kind=CREATE, device_id="cam-1", message_id="m-1")
    assert list(expected([first, first])) == ["created", "created"]
    assert events_of([first, first]) == 1
