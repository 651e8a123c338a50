"""Dead letters as they are read: what is believed in them, and what only a stranger says."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.deliveries import delivery
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import Undecodable
from worker.amqp.letter import Letter, read_letter
from worker.amqp.topology import topology

NAMES = topology("streams")
DIED_AT = datetime(2026, 1, 12, 9, 30, tzinfo=UTC)
OURS = {
    "x-streams-reason": "malformed",
    "x-streams-detail": "no JSON",
    "x-streams-failed-at": "2026-01-12T09:30:00.000000+00:00",
    "x-streams-routing-key": "cam-1",
}
DEATH = {
    "reason": "expired",
    "queue": "streams.commands",
    "exchange": "streams.commands",
    "routing-keys": ["cam-7", "copy"],
    "time": DIED_AT,
    "count": 1,
}


def letter(*, exchange: str = "streams.dead", **properties: Any) -> Letter:
    return read_letter(delivery(exchange=exchange, routing_key="rk", **properties), number=3, names=NAMES)


def test_the_workers_letter_says_why_and_when_and_whose_it_was() -> None:
    read = letter(message_id="m-1", headers=OURS | {"x-streams-user-id": "alice"})

    assert (read.number, read.reason, read.detail) == (3, "malformed", "no JSON")
    assert (read.died_at, read.routing_key, read.sender) == (DIED_AT, "cam-1", "alice")
    assert (read.type, read.message_id, read.readable) == ("stream.create", "m-1", True)


def test_the_brokers_letter_has_the_reason_the_moment_and_the_key_of_its_death() -> None:
    read = letter(message_id="m-1", user_id="alice", headers={"x-death": [DEATH]})

    assert (read.reason, read.died_at, read.routing_key) == ("expired", DIED_AT, "cam-7")
    assert (read.sender, read.message_id) == ("alice", "m-1")
    assert "streams.commands" in read.detail


def test_what_a_sender_wrote_into_a_letter_of_the_brokers_is_not_believed() -> None:
    forged = OURS | {"x-streams-user-id": "root", "x-streams-nameless": True, "x-death": [DEATH]}

    read = letter(message_id="m-1", user_id="alice", headers=forged)

    assert (read.reason, read.sender, read.routing_key, read.message_id) == ("expired", "alice", "cam-7", "m-1")
    assert letter(headers=forged).sender is None


@pytest.mark.parametrize("exchange", ["", "streams.commands", "other.dead"])
def test_nothing_is_believed_of_what_did_not_come_by_the_dead_exchange(exchange: str) -> None:
    read = letter(exchange=exchange, headers=OURS | {"x-streams-user-id": "root"})

    assert (read.reason, read.sender, read.routing_key, read.died_at) == ("unknown", None, "rk", None)


def test_the_death_in_our_queue_counts_not_one_before_it() -> None:
    earlier = DEATH | {"queue": "retry.later", "reason": "rejected", "routing-keys": ["x"]}

    assert letter(headers={"x-death": [earlier, DEATH]}).reason == "expired"
    assert letter(headers={"x-death": [earlier]}).reason == "rejected"


def test_a_message_without_an_id_had_none_whatever_its_letter_was_given() -> None:
    read = letter(message_id="made-up", headers=OURS | {"x-streams-nameless": True})

    assert (read.nameless, read.message_id) == (True, None)
    assert letter(headers=OURS).nameless


def test_an_undecodable_message_cannot_be_told_for_what_it_was() -> None:
    of_worker = letter(headers=OURS | {"x-streams-reason": "undecodable"})
    found = AmqpDelivery(
        tag=1,
        exchange="streams.dead",
        routing_key="rk",
        redelivered=False,
        properties=Undecodable("why"),
        body=b"",
    )
    of_broker = read_letter(found, number=1, names=NAMES)

    assert (of_worker.reason, of_worker.readable) == ("undecodable", False)
    assert (of_broker.reason, of_broker.detail, of_broker.readable) == ("undecodable", "why", False)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-01-12T10:30:00+01:00", DIED_AT),
        ("2026-01-12T09:30:00", DIED_AT),
        ("yesterday", None),
        (7, None),
        (None, None),
    ],
)
def test_the_moment_of_death_is_read_where_it_can_be(written: object, moment: datetime | None) -> None:
    assert letter(headers=OURS | {"x-streams-failed-at": written}).died_at == moment


def test_a_moment_without_a_zone_is_the_brokers_and_in_utc() -> None:
    assert letter(headers={"x-death": [DEATH | {"time": DIED_AT.replace(tzinfo=None)}]}).died_at == DIED_AT


def test_its_age_counts_from_its_death() -> None:
    now = (DIED_AT + timedelta(minutes=5)).astimezone(timezone(timedelta(hours=3)))

    assert letter(headers=OURS).age_s(now) == 300
    assert letter(headers={}).age_s(now) is None


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.binary(max_size=8) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    headers=st.dictionaries(st.sampled_from([*OURS, "x-streams-user-id", "x-streams-nameless"]), junk),
    deaths=st.none() | junk | st.lists(st.dictionaries(st.sampled_from(list(DEATH)), junk), max_size=3),
)
def test_no_header_makes_a_letter_unreadable_for_us(headers: dict[str, Any], deaths: object) -> None:
    read = letter(headers=headers if deaths is None else headers | {"x-death": deaths})

    assert isinstance(read.reason, str)
    assert isinstance(read.routing_key, str)
    assert read.age_s(DIED_AT) is None or isinstance(read.age_s(DIED_AT), float)
