"""Which dead letters are meant, and how somebody says it."""

from datetime import UTC, datetime, timedelta

import click
import pytest

from tests.support.deliveries import delivery
from worker.amqp.letter import Letter, read_letter
from worker.amqp.topology import topology
from worker.amqp.wanted import Wanted
from worker.cli.dead_options import Age, wanted, which

NOW = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)


def letter(*, reason: str = "malformed", died_s_ago: float | None = 60) -> Letter:
    headers: dict[str, object] = {"x-streams-reason": reason, "x-streams-routing-key": "cam-1"}
    if died_s_ago is not None:
        headers["x-streams-failed-at"] = (NOW - timedelta(seconds=died_s_ago)).isoformat()
    came = delivery(exchange="streams.dead", message_id="m-1", headers=headers)
    return read_letter(came, number=7, names=topology("streams"))


def test_every_letter_is_meant_where_nothing_is_given() -> None:
    assert Wanted().matches(letter(died_s_ago=None), NOW)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (Wanted(reasons={"malformed"}), True),
        (Wanted(reasons={"expired", "malformed"}), True),
        (Wanted(reasons={"expired"}), False),
        (Wanted(types={"stream.create"}), True),
        (Wanted(types={"stream.stop"}), False),
        (Wanted(message_ids={"m-1"}), True),
        (Wanted(message_ids={"m-2"}), False),
        (Wanted(routing_keys={"cam-1"}), True),
        (Wanted(routing_keys={"cam-2"}), False),
        (Wanted(number=7), True),
        (Wanted(number=8), False),
        (Wanted(older_than_s=60), True),
        (Wanted(older_than_s=61), False),
        (Wanted(newer_than_s=61), True),
        (Wanted(newer_than_s=60), False),
        (Wanted(older_than_s=30, newer_than_s=90), True),
        (Wanted(reasons={"malformed"}, types={"stream.stop"}), False),
        (Wanted(reasons={"malformed"}, older_than_s=3_600), False),
    ],
)
def test_all_that_is_given_must_apply(given: Wanted, *, meant: bool) -> None:
    assert given.matches(letter(), NOW) is meant


@pytest.mark.parametrize("given", [Wanted(older_than_s=0), Wanted(newer_than_s=10**9)])
def test_a_letter_of_unknown_age_is_neither_older_nor_newer(given: Wanted) -> None:
    assert not given.matches(letter(died_s_ago=None), NOW)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7_200), ("7d", 604_800), ("0s", 0)]
)
def test_an_age_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert Age().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "1.5h", "5 m", "5M", "5w", "9999999999s", "\u0665m"])
def test_nothing_else_is_an_age(text: str) -> None:
    with pytest.raises(click.BadParameter, match="Say 30s, 5m, 2h or 7d"):
        Age().convert(text, None, None)


def test_the_options_say_what_is_wanted() -> None:
    given = wanted(
        reasons=("internal",), types=("stream.stop",), message_ids=("m",), devices=("cam",), older_than_s=1.0
    )

    assert given == Wanted(
        reasons={"internal"}, types={"stream.stop"}, message_ids={"m"}, routing_keys={"cam"}, older_than_s=1.0
    )


def test_a_letter_is_named_by_its_number_or_by_its_id() -> None:
    assert which("7") == Wanted(number=7)
    assert which("m-7") == Wanted(message_ids={"m-7"})
    assert which("1234567890") == Wanted(message_ids={"1234567890"})
