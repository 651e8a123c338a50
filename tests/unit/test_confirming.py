"""Each message that is sent is confirmed, refused or unknown, and nothing that the broker does raises."""

import asyncio
import struct
import time

import pytest
from aiormq.exceptions import AMQPConnectionError, ChannelClosed, ChannelInvalidStateError

from tests.support.fake_channel import HANGS, FakeChannel, nack, wire
from tests.support.wire import eventually
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
    ],
)
async def test_a_connection_that_is_lost_leaves_it_unknown(lost: BaseException) -> None:
    channel = FakeChannel(fate=lambda key: lost if key == "b" else None)

    assert await channel.confirming().send([wire(key) for key in "abc"]) == [CONFIRMED, UNKNOWN, CONFIRMED]


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

    ends = await channel.confirming(timeout_s=0.05, in_flight_max=2).send([wire(str(n)) for n in range(100)])

    assert ends == [CONFIRMED, UNKNOWN] + [UNKNOWN] * 98
    assert channel.sent == ["0", "1"]
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize(
    "error", [TypeError("x"), ValueError("x"), OverflowError("x"), RecursionError("x"), struct.error("x")]
)
async def test_what_cannot_be_written_is_refused_and_the_others_go(error: Exception) -> None:
    channel = FakeChannel(fate=lambda key: error if key == "b" else None)

    assert await channel.confirming().send([wire(key) for key in "abc"]) == [CONFIRMED, REFUSED, CONFIRMED]


async def test_a_channel_that_broke_over_a_frame_leaves_it_unknown() -> None:
    channel = FakeChannel()

    def break_the_channel(_: str) -> Exception:
        channel.is_closed = True
        return ValueError("Unexpected frame")

    channel.fate = break_the_channel

    assert await channel.confirming().send([wire("a")]) == [UNKNOWN]


async def test_a_defect_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        await FakeChannel(fate=lambda _: ZeroDivisionError()).confirming().send([wire("a")])
