"""The demo's books: they balance where all is well, and show each thing that is lost or wrong."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from devtools.demo.account import account, verdict
from devtools.demo.books import Books, books
from devtools.demo.ledger import Answer, Asked, Fact, Ledger, Letter

BROKEN = b"{broken"


def asked(message_id: str, command: str = "create", expects: str = "created", device_id: str = "cam-1") -> Asked:
    return Asked(
        device_id=device_id, command=f"stream.{command}", body=device_id, message_id=message_id, expects=expects
    )


def fact(sequence: int, kind: str, stream_id: str, cause: str | None, device_id: str = "cam-1") -> Fact:
    return Fact(
        event_id=f"{stream_id}-{kind}",
        kind=f"stream.{kind}",
        device_id=device_id,
        stream_id=stream_id,
        code="7K3M9QXA",
        sequence=sequence,
        cause=cause,
    )


CREATED = Answer(word="created", text="created s-1", device_id="cam-1", stream_id="s-1")
STOPPED = Answer(word="stopped", text="stopped s-1", device_id="cam-1", stream_id="s-1")


def good() -> Ledger:
    """A stream that began and ended, a repeat of its beginning, two refusals, and one that cannot be answered."""
    ledger = Ledger()
    for number, (command, answer) in enumerate(
        [
            (asked("m-1"), CREATED),
            (asked("m-1"), CREATED),
            (asked("m-2", "stop", "stopped"), STOPPED),
            (asked("m-3", "explode", "unknown_command"), Answer(word="unknown_command", text="no")),
            (asked("m-1", "get", "message_id_reused"), Answer(word="message_id_reused", text="no")),
        ],
        1,
    ):
        assert ledger.ask(command) == number
        ledger.answers[number] = answer
    ledger.facts += [fact(1, "created", "s-1", "m-1"), fact(2, "stopped", "s-1", "m-2")]
    ledger.thrown[BROKEN] = "malformed"
    ledger.letters.append(Letter(body=BROKEN, reason="malformed"))
    return ledger


def sums(ledger: Ledger) -> Mapping[str, int]:
    return {row.name: row.sum for row in account(books(ledger, is_over=True))}


def test_books_without_a_loss_balance_and_the_commands_are_what_became_of_them() -> None:
    made = books(good(), is_over=True)
    assert made.balance
    assert made.commands == {
        "stream.create": 2,
        "stream.stop": 1,
        "stream.get": 1,
        "unknown": 1,
        "unanswerable": 1,
    }
    assert made.replies == {"created": 2, "stopped": 1}
    assert made.problems == {"unknown_command": 1, "message_id_reused": 1}
    assert made.dead_letters == {"malformed": 1}
    assert made.events == {"stream.created": 1, "stream.stopped": 1}
    assert (made.repeats, made.absorbed) == (1, 1)
    numbers = sums(good())
    assert numbers["commands"] == numbers["replies"] + numbers["problems"] + numbers["dead letters"]
    assert (numbers["gaps"], numbers["lost"]) == (0, 0)
    assert verdict(made).startswith("The books balance")


def unanswered(ledger: Ledger) -> None:
    del ledger.answers[3]


def unheard(ledger: Ledger) -> None:
    del ledger.facts[1]


def unkept(ledger: Ledger) -> None:
    ledger.letters.clear()


@pytest.mark.parametrize(
    ("lose", "found"),
    [
        (unanswered, {"commands without an answer": 1}),
        (unheard, {"events not heard": 1}),
        (unkept, {"dead letters not kept": 1}),
    ],
)
def test_what_did_not_come_is_lost_and_under_way_as_long_as_it_may_come(
    lose: Callable[[Ledger], None], found: Mapping[str, int]
) -> None:
    ledger = good()
    lose(ledger)
    made = books(ledger, is_over=True)
    assert (made.lost, made.under_way, made.wrong, made.balance) == (found, {}, {}, False)
    assert sums(ledger)["lost"] == 1
    assert verdict(made) == "The books do not balance."

    so_far = books(ledger, is_over=False)
    assert (so_far.lost, so_far.under_way, so_far.balance) == ({}, found, True)
    assert verdict(so_far).startswith("Nothing is lost so far")


def another_outcome(ledger: Ledger) -> None:
    ledger.answers[3] = replace(STOPPED, word="already_stopped")
    del ledger.facts[1]


def an_answer_to_another(ledger: Ledger) -> None:
    ledger.answers[3] = replace(STOPPED, device_id="cam-2")


def a_second_answer(ledger: Ledger) -> None:
    ledger.answers[2] = replace(CREATED, text="created s-1 again")


def a_second_effect(ledger: Ledger) -> None:
    ledger.facts.append(fact(3, "created", "s-2", "m-1"))


def a_strange_event(ledger: Ledger) -> None:
    ledger.facts.append(fact(3, "created", "s-2", None))


def an_event_of_a_look(ledger: Ledger) -> None:
    ledger.ask(asked("m-9", "get", "found"))
    ledger.answers[6] = replace(STOPPED, word="found")
    ledger.facts.append(fact(3, "created", "s-2", "m-9"))


def an_event_again(ledger: Ledger) -> None:
    ledger.facts.append(ledger.facts[0])


def two_streams(ledger: Ledger) -> None:
    ledger.ask(asked("m-9", device_id="cam-2"))
    ledger.answers[6] = replace(CREATED, text="s-2", device_id="cam-2", stream_id="s-2")
    ledger.ask(asked("m-10", device_id="cam-2"))
    ledger.answers[7] = replace(CREATED, text="s-3", device_id="cam-2", stream_id="s-3")
    ledger.facts += [fact(1, "created", "s-2", "m-9", "cam-2"), fact(2, "created", "s-3", "m-10", "cam-2")]


def an_end_before_its_beginning(ledger: Ledger) -> None:
    ledger.facts[:] = [replace(ledger.facts[1], sequence=1), replace(ledger.facts[0], sequence=2)]


def the_end_of_another(ledger: Ledger) -> None:
    ledger.facts[0] = replace(ledger.facts[0], stream_id="s-0")
    ledger.answers[1] = ledger.answers[2] = replace(CREATED, stream_id="s-0")


def a_good_command_among_the_dead(ledger: Ledger) -> None:
    ledger.letters.append(Letter(body=b"cam-1", reason="internal"))


def another_reason(ledger: Ledger) -> None:
    ledger.letters[0] = Letter(body=BROKEN, reason="undecodable")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (another_outcome, {"other answers than there should be": 1}),
        (an_answer_to_another, {"other answers than there should be": 1}),
        (a_second_answer, {"repeats answered otherwise": 1}),
        (a_second_effect, {"commands carried out twice": 1}),
        (a_strange_event, {"events that nobody asked for": 1}),
        (an_event_of_a_look, {"events that nobody asked for": 1}),
        (an_event_again, {"events heard twice": 1}),
        (two_streams, {"devices with two streams at once": 1}),
        (an_end_before_its_beginning, {"devices with two streams at once": 1}),
        (the_end_of_another, {"devices with two streams at once": 1}),
        (a_good_command_among_the_dead, {"dead letters for no reason of ours": 1}),
        (another_reason, {"dead letters for no reason of ours": 1}),
    ],
)
@pytest.mark.parametrize("is_over", [True, False])
def test_what_should_not_have_come_is_wrong_at_any_time(
    spoil: Callable[[Ledger], None], found: Mapping[str, int], *, is_over: bool
) -> None:
    ledger = good()
    spoil(ledger)
    made = books(ledger, is_over=is_over)
    assert (made.lost, made.under_way, made.wrong, made.gaps, made.balance) == ({}, {}, found, [], False)
    assert sums(ledger)["wrong"] == 1
    assert verdict(made) == "The books do not balance."


@pytest.mark.parametrize("places", [[1], [1, 0]], ids=["the first is missing", "the second came first"])
def test_a_history_that_is_not_heard_in_its_order_has_a_gap(places: list[int]) -> None:
    ledger = good()
    ledger.facts[:] = [ledger.facts[place] for place in places]
    made = books(ledger, is_over=True)
    assert (made.gaps, made.balance) == (["cam-1"], False)


def test_a_history_that_does_not_begin_with_1_has_a_gap_though_nothing_is_missing() -> None:
    ledger = good()
    ledger.facts[:] = [replace(heard, sequence=heard.sequence + 1) for heard in ledger.facts]
    made = books(ledger, is_over=True)
    assert (made.gaps, made.lost, made.wrong, made.balance) == (["cam-1"], {}, {}, False)


def test_a_letter_that_is_kept_twice_is_no_fault() -> None:
    ledger = good()
    ledger.letters *= 2
    made = books(ledger, is_over=True)
    assert (made.dead_letters, made.balance) == ({"malformed": 1}, True)


def test_who_died_before_the_answer_is_owed_none_and_its_repeat_is_absorbed() -> None:
    ledger = good()
    del ledger.answers[1]
    ledger.abandoned.add(1)
    made = books(ledger, is_over=True)
    assert (made.abandoned, made.repeats, made.absorbed, made.balance) == (1, 1, 1, True)
    numbers = sums(ledger)
    assert numbers["commands"] == numbers["replies"] + numbers["problems"] + numbers["dead letters"] + 1


def test_a_repeat_without_an_answer_is_lost_and_not_absorbed() -> None:
    ledger = good()
    del ledger.answers[2]
    made: Books = books(ledger, is_over=True)
    assert (made.repeats, made.absorbed) == (1, 0)
    assert made.lost == {"commands without an answer": 1}
