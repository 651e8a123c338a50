"""The watchdog: it ends an epoch that is deaf, and no other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiormq.exceptions import ChannelInvalidStateError, ChannelNotFoundEntity

from tests.support.deliveries import delivered
from tests.support.quiet_channel import QuietChannel
from worker.amqp.consumer import Consumer
from worker.amqp.hand import Hand
from worker.amqp.source import Source
from worker.amqp.topology import topology
from worker.amqp.watchdog import Look, Watchdog
from worker.service.messages import Incoming
from worker.service.ports import EpochOver

HUNGRY = Look(tag="t-1", ready=5, consumers=1, arrived_first=7, arrived=7, unsettled=0)


def decode(_: object) -> Incoming:
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A consumer under a watchdog."""

    consumer: Consumer
    channel: QuietChannel
    hand: Hand
    shares: list[int]

    def arrive(self, queue: str = "s.commands") -> int:
        """Have a delivery come from a queue, and return its tag."""
        tag = self.hand.arrived + 1
        (callback,) = [
            callback for name, callback in self.channel.consumers.items() if name.startswith(f"{queue}-")
        ]
        callback(delivered(tag=tag))
        return tag

    async def end(self) -> str:
        """Wait until the epoch is over, and return why."""
        async with asyncio.timeout(30):
            with pytest.raises(EpochOver) as over:
                await self.consumer.watch()
        return str(over.value)


@asynccontextmanager
async def watched(channel: QuietChannel, *, started: bool = True, partitions: int = 1) -> AsyncIterator[Watched]:
    hand = Hand()
    names = topology("s", partitions)
    sources = [
        Source(channel.as_channel(), queue, prefetch=10, is_partition=queue in names.partitions, timeout_s=1.0)
        for queue in names.sources
    ]
    consumer = Consumer(channel.as_channel(), sources=sources, hand=hand, decode=decode)
    shares: list[int] = []

    async def share(workers: int) -> None:
        shares.append(workers)

    if started:
        await consumer.start()
    watchdog = Watchdog(
        consumer,
        channel.as_channel(),
        topology=names,
        share=share,
        send_canary=channel.send_canary,
        every_s=0.002,
        timeout_s=0.05,
    )
    async with watchdog:
        yield Watched(consumer=consumer, channel=channel, hand=hand, shares=shares)


def test_one_look_shows_nothing() -> None:
    assert HUNGRY.suspicion(None) is None
    assert replace(HUNGRY, consumers=0).suspicion(None) is None


def test_what_is_ready_twice_with_nothing_in_hand_and_nothing_between_is_deaf() -> None:
    assert HUNGRY.suspicion(HUNGRY) == "5 messages are ready and none arrives"


def test_a_queue_that_twice_knows_of_no_consumer_is_deaf() -> None:
    alone = replace(HUNGRY, ready=0, consumers=0)

    assert "no consumer" in str(alone.suspicion(alone))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (replace(HUNGRY, arrived_first=6, arrived=6), HUNGRY),
        (replace(HUNGRY, arrived_first=6), HUNGRY),
        (HUNGRY, replace(HUNGRY, arrived=8)),
        (replace(HUNGRY, unsettled=1), HUNGRY),
        (HUNGRY, replace(HUNGRY, unsettled=1)),
        (replace(HUNGRY, ready=0), HUNGRY),
        (HUNGRY, replace(HUNGRY, ready=0)),
        (replace(HUNGRY, is_ours=False), HUNGRY),
        (HUNGRY, replace(HUNGRY, is_ours=False)),
        (HUNGRY, replace(HUNGRY, consumers=0, ready=0)),
        (replace(HUNGRY, consumers=0, ready=0), HUNGRY),
        (replace(HUNGRY, tag="t-0"), HUNGRY),
    ],
)
def test_anything_less_is_not(before: Look, now: Look) -> None:
    assert now.suspicion(before) is None


async def test_messages_that_wait_while_none_arrives_end_the_epoch() -> None:
    async with watched(QuietChannel(ready=3)) as epoch:
        assert await epoch.end() == "deaf on s.commands: 3 messages are ready and none arrives"
        assert not epoch.consumer.is_consuming


async def test_a_queue_without_a_consumer_ends_the_epoch() -> None:
    async with watched(QuietChannel(consumers_said=0)) as epoch:
        assert "knows of no consumer" in await epoch.end()


async def test_a_consumer_that_is_gone_ends_the_epoch() -> None:
    async with watched(QuietChannel()) as epoch:
        epoch.channel.consumers.clear()
        assert not epoch.consumer.is_consuming

        assert await epoch.end() == "the consumer of s.commands is gone"


async def test_a_look_without_an_answer_ends_the_epoch() -> None:
    async with watched(QuietChannel(is_mute=True)) as epoch:
        assert await epoch.end() == "the watchdog's look at the queues: no answer within 0.05 s"


async def test_a_way_out_that_is_closed_ends_the_epoch() -> None:
    async with watched(QuietChannel(has_alarm=True)) as epoch:
        assert await epoch.end() == "an alarm is on"


async def test_a_queue_that_is_not_there_ends_the_epoch() -> None:
    async with watched(QuietChannel(error=ChannelNotFoundEntity("NOT_FOUND"))) as epoch:
        assert await epoch.end() == "the queue s.dead is not there"


async def test_a_channel_that_is_closed_ends_the_epoch() -> None:
    async with watched(QuietChannel(error=ChannelInvalidStateError("closed"))) as epoch:
        assert "ChannelInvalidStateError closed" in await epoch.end()


async def pause(epoch: Watched) -> None:
    await epoch.consumer.pause()


async def close(epoch: Watched) -> None:
    await epoch.consumer.close()


@pytest.mark.parametrize("stopped", [pause, close])
async def test_who_takes_nothing_is_not_looked_at(stopped: Callable[[Watched], Coroutine[Any, Any, None]]) -> None:
    async with watched(QuietChannel()) as epoch:
        await epoch.channel.until_looked(1)
        await stopped(epoch)
        epoch.channel.ready, epoch.channel.consumers_said = 5, 0
        looks = epoch.channel.looks

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await epoch.consumer.watch()
        assert epoch.channel.looks <= looks + 1


async def test_before_the_start_it_does_not_look() -> None:
    async with watched(QuietChannel(ready=5, consumers_said=0), started=False) as epoch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await epoch.consumer.watch()
        assert not epoch.channel.looks


async def test_after_a_pause_it_looks_again() -> None:
    async with watched(QuietChannel()) as epoch:
        await epoch.consumer.pause()
        epoch.channel.ready = 5
        await epoch.consumer.resume()

        assert "5 messages are ready" in await epoch.end()


async def test_with_something_in_hand_what_waits_may_wait() -> None:
    async with watched(QuietChannel(ready=5)) as epoch:
        tag = epoch.arrive()

        await epoch.channel.until_looked(5)
        epoch.hand.settle([tag])

        assert "none arrives" in await epoch.end()


async def test_where_something_arrives_between_looks_it_is_left_alone() -> None:
    async with watched(QuietChannel(ready=5)) as epoch:
        for _ in range(5):
            epoch.hand.settle([epoch.arrive()])
            await epoch.channel.until_looked(1)

        assert epoch.hand.unsettled == 0
        assert epoch.hand.arrived == 5


async def test_without_messages_it_is_left_alone() -> None:
    async with watched(QuietChannel()) as epoch:
        await epoch.channel.until_looked(5)

        assert epoch.consumer.is_consuming


async def test_a_defect_of_its_own_ends_the_epoch_and_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        async with watched(QuietChannel(error=ZeroDivisionError())) as epoch:
            assert await epoch.end() == "the watchdog died of a defect"


async def test_a_partition_that_never_sent_us_anything_may_be_anothers() -> None:
    async with watched(QuietChannel(ready_elsewhere={"s.commands.2": 3}), partitions=2) as epoch:
        await epoch.channel.until_looked(5)

        assert epoch.consumer.is_consuming


async def test_messages_that_wait_in_a_partition_of_ours_while_none_arrives_end_the_epoch() -> None:
    async with watched(QuietChannel(), partitions=2) as epoch:
        epoch.hand.settle([epoch.arrive("s.commands.2")])
        epoch.channel.ready_elsewhere["s.commands.2"] = 3

        assert await epoch.end() == "deaf on s.commands.2: 3 messages are ready and none arrives"


async def test_what_one_queue_has_in_hand_does_not_excuse_another() -> None:
    async with watched(QuietChannel(ready=3), partitions=2) as epoch:
        epoch.arrive("s.commands.1")

        assert await epoch.end() == "deaf on s.commands: 3 messages are ready and none arrives"


async def test_a_partitions_consumer_that_is_gone_ends_the_epoch() -> None:
    async with watched(QuietChannel(), partitions=2) as epoch:
        del epoch.channel.consumers["s.commands.1-2"]
        assert not epoch.consumer.is_consuming

        assert await epoch.end() == "the consumer of s.commands.1 is gone"


async def test_each_look_tells_how_many_workers_there_are() -> None:
    async with watched(QuietChannel(consumers_said=3), partitions=2) as epoch:
        await epoch.channel.until_looked(3)

        assert set(epoch.shares) == {3}
