"""Each message that is sent is confirmed, refused or unknown, and nothing that the broker does raises."""

import asyncio
import time
from dataclasses import replace

import pytest
from aiormq.exceptions import AMQPConnectionError, ChannelClosed, ChannelInvalidStateError
from pamqp.commands import Basic
from pamqp.common import FieldTable
from typing_extensions import override

from tests.support.fake_channel import HANGS, FakeChannel, nack, wire
from tests.support.wire import eventually
from worker.amqp.messages import WireMessage
from worker.service.messages import Confirmation

CONFIRMED, REFUSED, UNKNOWN = Confirmation.CONFIRMED, Confirmation.REFUSED, Confirmation.UNKNOWN


async def test_each_is_reported_in_the_order_in_which_it_was_sent() -> None:
    channel = FakeChannel(fate=lambda key: nack() if key in "bd" else None)

    assert await channel.confirming().send([wire(key) for key in "abcde"]) == [
        CONFIRMED,
        REFUSED,
        CONFIRMED,
        REFUSED,
        CONFIRMED,
    ]
    assert channel.sent == list("abcde")


async def test_nothing_to_send_is_nothing_to_report() -> None:
    assert await FakeChannel().confirming().send([]) == []


async def test_no_more_than_the_limit_are_in_flight() -> None:
    channel = FakeChannel()

    ends = await channel.confirming(in_flight_max=3).send([wire(str(number)) for number in range(10)])

    assert ends == [CONFIRMED] * 10
    assert channel.in_flight_most == 3
    assert channel.sent == [str(number) for number in range(10)]


@pytest.mark.parametrize(
    "lost",
    [
        AMQPConnectionError("gone"),
        ChannelClosed(404, "NOT_FOUND"),
        ChannelInvalidStateError("closed"),
        ConnectionResetError(),
        TimeoutError(),
        asyncio.CancelledError(),  # what aiormq raises in tasks that nobody cancelled
        ValueError("Unexpected frame"),  # a channel that broke over what the broker said
        Exception(),  # one that was closed without a reason
    ],
)
async def test_a_connection_that_is_lost_leaves_what_had_no_confirm_unknown(lost: BaseException) -> None:
    channel = FakeChannel(fate=lambda key: lost if key == "b" else None)

    assert await channel.confirming().send([wire(key) for key in "abc"]) == [CONFIRMED, UNKNOWN, UNKNOWN]


async def test_a_confirm_that_comes_with_the_end_of_the_channel_counts() -> None:
    channel = FakeChannel(fate=lambda _: HANGS)
    sending = asyncio.create_task(channel.confirming().send([wire("a")]))
    await eventually(lambda: asyncio.sleep(0, bool(channel.sent)))

    channel.lose(ConnectionResetError())
    channel.confirmations[1].set_result(None)

    assert await sending == [CONFIRMED]


async def test_on_a_channel_that_is_closed_all_is_unknown() -> None:
    channel = FakeChannel(is_closed=True)

    assert await channel.confirming().send([wire("a"), wire("x" * 256)]) == [UNKNOWN, UNKNOWN]
    assert channel.sent == []


async def test_what_is_cancelled_is_cancelled() -> None:
    channel = FakeChannel(fate=lambda _: HANGS)
    sending = asyncio.create_task(channel.confirming().send([wire("a")]))

    async def is_sent() -> bool:
        return bool(channel.sent)

    await eventually(is_sent)
    sending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_after_one_that_is_unknown_no_further_deadline_is_waited_for() -> None:
    channel = FakeChannel(fate=lambda key: HANGS if key == "1" else None)
    began_s = time.monotonic()

    ends = await channel.confirming(timeout_s=0.05, in_flight_max=2).send([wire(str(n)) for n in range(1_000)])

    assert ends == [CONFIRMED, UNKNOWN] + [UNKNOWN] * 998
    assert channel.sent == ["0", "1"]
    assert time.monotonic() - began_s < 12, "all of them would take 25 s"


def nested(depth: int) -> FieldTable:
    table: FieldTable = {}
    for _ in range(depth):
        table = {"a": table}
    return table


UNWRITABLE = {
    "TypeError": replace(wire("x"), routing_key="x" * 256),
    "UnicodeEncodeError": replace(wire("x"), routing_key="\ud800"),
    "ValueError": replace(wire("x"), exchange="no such exchange?"),
    "struct.error": replace(wire("x"), properties=Basic.Properties(priority=256)),
    "RecursionError": replace(wire("x"), properties=Basic.Properties(headers=nested(2_000))),
}


@pytest.mark.parametrize("unwritable", UNWRITABLE.values(), ids=UNWRITABLE)
async def test_what_cannot_be_written_is_refused_and_the_others_go(unwritable: WireMessage) -> None:
    channel = FakeChannel()

    assert await channel.confirming().send([wire("a"), unwritable, wire("b")]) == [
        CONFIRMED,
        Confirmation.GIVEN_UP,
        CONFIRMED,
    ]
    assert channel.sent == ["a", "b"]


async def test_where_nothing_can_be_written_nothing_is_waited_for() -> None:
    assert await FakeChannel().confirming().send([*UNWRITABLE.values()]) == [Confirmation.GIVEN_UP] * len(
        UNWRITABLE
    )


async def test_a_defect_of_ours_is_not_hidden() -> None:
    class Defect(Basic.Properties):
        @override
        def marshal(self) -> bytes:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await FakeChannel().confirming().send([replace(wire("a"), properties=Defect())])
