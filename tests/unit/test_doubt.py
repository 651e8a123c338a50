"""A channel that refuses is replaced now and then: a queue that is well may be refused on it for ever."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import PublishError
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from tests.support.fake_channel import FakeChannel, nack, wire
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.doubt import PAUSE_S, Doubt
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

CONFIRMED, REFUSED = Confirmation.CONFIRMED, Confirmation.REFUSED


@dataclass(slots=True)
class Times:
    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class Broker:
    """Every channel that is opened refuses what goes to "full", and the first what goes to "stale" too."""

    channels: list[FakeChannel] = field(default_factory=list)
    times: Times = field(default_factory=Times)
    is_away: bool = False

    async def open(self) -> FakeChannel:
        if self.is_away:
            raise EpochOver("away")
        refused = {"full"} if self.channels else {"full", "stale"}
        self.channels.append(FakeChannel(fate=lambda key: nack() if key in refused else None))
        return self.channels[-1]

    async def confirming(self) -> ConfirmingChannel:
        first = await self.open()
        return first.confirming(renew=self.open, doubt=Doubt(self.times))


def returned() -> PublishError:
    """What aiormq raises at a mandatory publish for which there was no queue."""
    message = DeliveredMessage(
        delivery=Basic.Return(), header=ContentHeader(), body=b"", channel=cast("AbstractChannel", None)
    )
    return PublishError(message, Basic.Return())


async def test_what_comes_after_a_refusal_goes_over_another_channel() -> None:
    broker = Broker()
    channel = await broker.confirming()

    assert await channel.send([wire("stale"), wire("well")]) == [REFUSED, CONFIRMED]
    assert await channel.send([wire("stale")]) == [CONFIRMED]
    assert len(broker.channels) == 2


async def test_without_a_refusal_there_is_one_channel() -> None:
    broker = Broker()
    channel = await broker.confirming()
    for _ in range(3):
        await channel.send([wire("well")])
    assert len(broker.channels) == 1


async def test_a_message_that_comes_back_casts_no_doubt_on_the_channel() -> None:
    broker = Broker()
    channel = await broker.confirming()
    broker.channels[0].fate = lambda _: returned()
    for _ in range(3):
        assert await channel.send([wire("nobody")]) == [REFUSED]
    assert len(broker.channels) == 1


async def test_a_queue_that_is_full_costs_ever_fewer_channels_and_none_stays_open() -> None:
    broker = Broker()
    channel = await broker.confirming()
    for _ in range(100):
        await channel.send([wire("full")])
        broker.times.now_s += 1.0
    assert [one.is_closed for one in broker.channels] == [*[True] * (len(broker.channels) - 1), False]


async def test_a_channel_that_is_replaced_stays_open_until_the_last_of_its_confirms_has_come() -> None:
    broker = Broker()
    channel = await broker.confirming()
    first = broker.channels[0]
    late = asyncio.Event()
    first.holds = {"late": late}
    waiting = asyncio.create_task(channel.send([wire("late")]))
    await channel.send([wire("stale")])
    await channel.send([wire("stale")])
    assert not first.is_closed

    late.set()

    assert await waiting == [CONFIRMED]
    assert first.is_closed


async def test_a_broker_that_opens_none_leaves_the_one_there_is() -> None:
    broker = Broker()
    channel = await broker.confirming()
    await channel.send([wire("full")])
    broker.is_away = True
    assert await channel.send([wire("well")]) == [CONFIRMED]


def test_refusals_that_go_on_are_a_reason_again_after_each_pause() -> None:
    times = Times()
    doubt = Doubt(times)
    assert not doubt.is_due()

    for _ in range(3):
        doubt.refused()
        assert doubt.is_due()
        doubt.refused()
        assert not doubt.is_due()
        times.now_s += PAUSE_S
