"""How old a command may be."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import decode

from worker.amqp.codec.age import AgeLimit

NOW = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
WEEK = timedelta(days=7)
LIMIT = AgeLimit(retention_s=WEEK.total_seconds(), clock=lambda: NOW)


@pytest.mark.parametrize("sent_at", [NOW, NOW - timedelta(days=6), NOW - WEEK])
def test_one_that_is_young_enough_is_let_in(sent_at: datetime) -> None:
    assert LIMIT.objection(sent_at) is None


@pytest.mark.parametrize(
    "sent_at",
    [NOW - WEEK - timedelta(microseconds=1), NOW - timedelta(days=400), datetime(1970, 1, 1, tzinfo=UTC)],
)
def test_one_that_is_older_is_not(sent_at: datetime) -> None:
    reason = LIMIT.objection(sent_at)

    assert reason is not None
    assert "604800 seconds" in reason


def test_one_that_does_not_say_when_it_was_sent_is_let_in() -> None:
    assert LIMIT.objection(None) is None


@pytest.mark.parametrize(
    "sent_at", [NOW + timedelta(seconds=1), datetime(2106, 2, 7, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
def test_a_time_in_the_future_is_as_none(sent_at: datetime) -> None:
    assert LIMIT.objection(sent_at) is None


def test_a_time_without_a_zone_is_utc() -> None:
    assert LIMIT.objection((NOW - WEEK).replace(tzinfo=None)) is None
    assert LIMIT.objection((NOW - WEEK - timedelta(seconds=1)).replace(tzinfo=None)) is not None


def test_a_time_of_another_zone_is_that_zones() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert LIMIT.objection((NOW - WEEK).astimezone(tokyo)) is None
    assert LIMIT.objection((NOW - WEEK - timedelta(seconds=1)).astimezone(tokyo)) is not None


@pytest.mark.parametrize(
    ("written", "is_old"),
    [
        (0, True),
        (1_768_210_200, False),
        (2**32 - 1, False),
        (2**32, True),  # from here on it is read as milliseconds: this is February 1970
        (1_768_210_200_123, False),
        (1_700_000_000_123, True),
        (253_402_300_799_999, False),
    ],
)
def test_every_time_that_a_message_can_hold_has_an_age(written: int, is_old: bool) -> None:  # noqa: FBT001 - a case
    _, sent_at = decode.timestamp(written.to_bytes(8, "big"))

    assert (LIMIT.objection(sent_at) is not None) == is_old


zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(
    sent_at=st.datetimes() | st.datetimes(timezones=zones),
    retention_s=st.floats(1, 315_576_000),
)
def test_no_time_trips_it_over(sent_at: datetime, retention_s: float) -> None:
    reason = AgeLimit(retention_s=retention_s, clock=lambda: NOW).objection(sent_at)

    assert (reason is None) or reason.startswith("The timestamp is more than ")
