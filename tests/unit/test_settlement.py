"""Settling: each tag exactly once, as few frames as possible, and never a delivery that is still open."""

import asyncio
from dataclasses import dataclass
from typing import cast

import pytest
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError
from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from typing_extensions import override

from tests.support.making import Tag
from tests.support.writing import Writing
from worker.amqp.hand import Hand
from worker.amqp.settlement import ChannelSettlement
from worker.service.messages import DeadLetter
from worker.service.ports import EpochOver


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What was sent to the broker."""

    kind: str
    tag: int
    multiple: bool = False


class FakeChannel(Writing):
    """What of a channel settles. `open` is what the broker still waits for, `writes` how often the socket was used
    for acknowledgements.
    """

    def __init__(self, deliveries: int, *, error: BaseException | None = None, stuck: bool = False) -> None:
        super().__init__(self._acknowledged)
        self.sent: list[Frame] = []
        self.writes = 0
        self.open = set(range(1, deliveries + 1))
        self.error = error
        self.stuck = stuck

    @override
    async def put(self, written: ChannelFrame) -> None:
        self.writes += 1
        await super().put(written)

    async def _acknowledged(self, ack: Basic.Ack) -> None:
        await self._fail()
        self.sent.append(Frame(kind="ack", tag=ack.delivery_tag, multiple=ack.multiple))
        # As RabbitMQ: a tag that is not open is an error, also under `multiple`.
        self.open.remove(ack.delivery_tag)
        if ack.multiple:
            self.open -= set(range(1, ack.delivery_tag))

    async def basic_reject(self, delivery_tag: int, *, requeue: bool) -> None:
        await self._fail()
        assert not requeue
        self.sent.append(Frame(kind="reject", tag=delivery_tag))
        self.open.remove(delivery_tag)

    async def _fail(self) -> None:
        if self.error is not None:
            raise self.error
        if self.stuck:
            await asyncio.Event().wait()


def settlement_of(channel: FakeChannel, *, timeout_s: float = 5.0) -> ChannelSettlement:
    return ChannelSettlement(cast("Channel", channel), hand=Hand(), timeout_s=timeout_s)


def tags(*numbers: int) -> list[Tag]:
    return [Tag(tag=number) for number in numbers]


def letter(number: int) -> DeadLetter:
    return DeadLetter(delivery=Tag(tag=number), reason="malformed", detail="no JSON")


async def test_a_batch_from_the_beginning_is_one_frame() -> None:
    channel = FakeChannel(3)

    await settlement_of(channel).acknowledge(tags(1, 2, 3))

    assert channel.sent == [Frame(kind="ack", tag=3, multiple=True)]


async def test_a_batch_after_a_batch_is_one_frame() -> None:
    channel = FakeChannel(5)
    settlement = settlement_of(channel)

    await settlement.acknowledge(tags(1, 2))
    await settlement.acknowledge(tags(3, 4, 5))

    assert channel.sent[1:] == [Frame(kind="ack", tag=5, multiple=True)]


async def test_what_is_done_beyond_an_open_delivery_goes_alone() -> None:
    channel = FakeChannel(4)

    await settlement_of(channel).acknowledge(tags(1, 3, 4))

    assert channel.sent == [
        Frame(kind="ack", tag=1, multiple=True),
        Frame(kind="ack", tag=3),
        Frame(kind="ack", tag=4),
    ]
    assert channel.open == {2}
    assert channel.writes == 1


async def test_the_delivery_that_was_held_back_closes_the_gap_but_covers_no_tag_twice() -> None:
    channel = FakeChannel(5)
    settlement = settlement_of(channel)

    await settlement.acknowledge(tags(2, 3))
    await settlement.acknowledge(tags(1, 5))

    assert channel.sent[2:] == [
        Frame(kind="ack", tag=1, multiple=True),
        Frame(kind="ack", tag=5),
    ]
    assert channel.open == {4}


async def test_a_rejected_delivery_counts_as_settled() -> None:
    channel = FakeChannel(3)
    settlement = settlement_of(channel)

    await settlement.acknowledge(tags(2))
    await settlement.give_to_broker([letter(1)])
    await settlement.acknowledge(tags(3))

    assert channel.sent == [
        Frame(kind="ack", tag=2),
        Frame(kind="reject", tag=1),
        Frame(kind="ack", tag=3, multiple=True),
    ]
    assert not channel.open


async def test_nothing_to_settle_is_no_frame() -> None:
    channel = FakeChannel(1)
    settlement = settlement_of(channel)

    await settlement.acknowledge([])
    await settlement.give_to_broker([])

    assert channel.sent == []


@pytest.mark.parametrize(
    "error", [ChannelInvalidStateError("closed"), ConnectionResetError(), asyncio.CancelledError()]
)
async def test_a_lost_connection_ends_the_epoch(error: BaseException) -> None:
    settlement = settlement_of(FakeChannel(2, error=error))

    with pytest.raises(EpochOver):
        await settlement.acknowledge(tags(1))
    with pytest.raises(EpochOver):
        await settlement.give_to_broker([letter(2)])


async def test_an_acknowledgement_that_cannot_leave_ends_the_epoch() -> None:
    settlement = settlement_of(FakeChannel(2, stuck=True), timeout_s=0.01)

    with pytest.raises(EpochOver):
        await settlement.acknowledge(tags(1))
    with pytest.raises(EpochOver):
        await settlement.give_to_broker([letter(2)])


async def test_who_is_cancelled_while_settling_is_cancelled() -> None:
    settling = asyncio.create_task(settlement_of(FakeChannel(1, stuck=True)).acknowledge(tags(1)))
    await asyncio.sleep(0)

    settling.cancel()

    with pytest.raises(asyncio.CancelledError):
        await settling


@st.composite
def settlings(draw: st.DrawFn) -> list[tuple[bool, list[int]]]:
    """Any order of settling a number of deliveries, cut into calls, each an acknowledgement or a rejection."""
    left = draw(st.permutations(range(1, draw(st.integers(1, 20)) + 1)))
    calls = []
    while left:
        count = draw(st.integers(1, len(left)))
        calls.append((draw(st.booleans()), list(left[:count])))
        left = left[count:]
    return calls


@given(calls=settlings())
def test_in_any_order_each_tag_is_settled_once_and_none_that_is_open_is_covered(
    calls: list[tuple[bool, list[int]]],
) -> None:
    channel = FakeChannel(sum(len(numbers) for _, numbers in calls))

    async def settle_all() -> None:
        settlement = settlement_of(channel)
        left = set(channel.open)
        for acknowledges, numbers in calls:
            if acknowledges:
                await settlement.acknowledge(tags(*numbers))
            else:
                await settlement.give_to_broker([letter(number) for number in numbers])
            left -= set(numbers)
            assert channel.open == left

    asyncio.run(settle_all())

    assert not channel.open
