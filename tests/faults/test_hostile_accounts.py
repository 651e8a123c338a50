"""The books of hostile messages, with planted mistakes: each is found."""

import json
from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from tests.faults.hostile import HostileMessage
from tests.faults.hostile_accounts import Expected, Found, unaccounted


def named(body: bytes) -> HostileMessage:
    return HostileMessage(routing_key=b"", header=b"", body=body)


BURIED: Final = Expected(message=named(b"buried"), letter=True)
ANSWERED: Final = Expected(message=named(b"answered"), reply="c-1")
MADE: Final = Expected(message=named(b"made"), creates="cam-1")
LOGGED: Final = Expected(message=named(b"logged"))
ALL: Final = {one.message.body: one for one in (BURIED, ANSWERED, MADE, LOGGED)}
FOUND: Final = Found(letters=Counter([b"buried"]), replies=Counter(["c-1"]), devices={"cam-1"}, refused_unasked=1)


def complaints(found: Found, *unknown: Expected) -> list[str]:
    accepted = [one.message for one in ALL.values() if one not in unknown]
    return unaccounted(ALL, found, accepted=accepted, unknown=[one.message for one in unknown])


def test_books_that_balance_raise_no_complaint() -> None:
    assert complaints(FOUND) == []


@pytest.mark.parametrize(
    "planted",
    [
        replace(FOUND, letters=Counter()),
        replace(FOUND, letters=Counter([b"buried", b"buried"])),
        replace(FOUND, letters=Counter([b"buried", b"answered"])),
        replace(FOUND, letters=Counter([b"buried", b"made"])),
        replace(FOUND, letters=Counter([b"buried", b"never sent"])),
        replace(FOUND, replies=Counter()),
        replace(FOUND, replies=Counter(["c-1", "c-1"])),
        replace(FOUND, replies=Counter(["c-1", "c-2"])),
        replace(FOUND, devices=set()),
        replace(FOUND, refused_unasked=0),
        replace(FOUND, refused_unasked=2),
    ],
    ids=lambda planted: str(planted)[:160],
)
def test_whatever_is_lost_or_doubled_or_too_much_is_found(planted: Found) -> None:
    assert complaints(planted)


def test_of_a_message_whose_fate_the_broker_did_not_tell_nothing_or_one_trace_is_right() -> None:
    without = replace(FOUND, letters=Counter())

    assert complaints(FOUND, BURIED) == []
    assert complaints(without, BURIED) == []
    assert complaints(replace(FOUND, letters=Counter([b"buried", b"buried"])), BURIED)


def test_refusals_that_left_no_letter_are_counted_in_the_log() -> None:
    events = [("command.refused_unasked", "not_found"), ("command.refused_unasked", "malformed"), ("a.b", "x")]
    log = "\n".join(json.dumps({"event": event, "code": code}) for event, code in events)

    assert Found.refusals_in(log) == 1
