"""Where a broker says nothing of a message and goes on answering, that is read as a refusal; and only there."""

from dataclasses import replace
from typing import Any, Final

from tests.faults.silences import OLD_S, with_silences
from tests.support.said import Said

CANARY: Final = "ns.canary"
LATER_S: Final = 10 + OLD_S


PUBLISH: Final = Said(
    at_s=10,
    number=1,
    connection="w publish",
    channel=1,
    direction="to_server",
    method="Basic.Publish",
    delivery_tag=1,
    multiple=False,
    message_id=None,
    exchange="",
    routing_key="cam-1",
    correlation_id=None,
    reply_to=None,
    delivery_count=0,
)
CONFIRM: Final = replace(PUBLISH, at_s=LATER_S, direction="to_client", method="Basic.Ack", routing_key=None)


def publish(tag: int, **more: Any) -> Said:
    return replace(PUBLISH, delivery_tag=tag, **more)


def canary(tag: int, **more: Any) -> Said:
    return publish(tag, routing_key=CANARY, at_s=LATER_S, **more)


def confirm(tag: int, **more: Any) -> Said:
    return replace(CONFIRM, delivery_tag=tag, **more)


def refused(*said: Said) -> list[tuple[int, int | None, float]]:
    """Return the publishes that count as refused, by channel, tag and time; nothing else may change."""
    found = list(with_silences(said, canary=CANARY))
    assert [one for one in found if one.method != "Basic.Nack"] == list(said)
    return [(one.channel, one.delivery_tag, one.at_s) for one in found if one.method == "Basic.Nack"]


def test_what_was_silent_when_the_canary_is_confirmed_is_refused() -> None:
    assert refused(publish(1), canary(2), confirm(2)) == [(1, 1, LATER_S)]


def test_so_is_what_holds_up_a_channel_where_another_one_answers() -> None:
    assert refused(publish(1), canary(1, channel=2), confirm(1, channel=2)) == [(1, 1, LATER_S)]


def test_what_is_confirmed_with_the_canary_is_not() -> None:
    assert refused(publish(1), canary(2), confirm(2, multiple=True)) == []


def test_nor_is_what_has_not_waited_long() -> None:
    assert refused(publish(1, at_s=LATER_S), canary(2), confirm(2)) == []


def test_nor_what_waits_on_another_connection() -> None:
    assert refused(publish(1), canary(2, number=2), confirm(2, number=2)) == []


def test_a_confirm_of_anything_else_says_nothing_of_the_rest() -> None:
    assert refused(publish(1), publish(2), confirm(2)) == []


def test_it_is_refused_once() -> None:
    assert refused(publish(1), canary(2), confirm(2), canary(3), confirm(3)) == [(1, 1, LATER_S)]
