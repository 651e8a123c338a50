"""An epoch's side of the broker: three connections, built from nothing, and closed together."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from worker.amqp.codec.decode import Decoder
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.consumer import Consumer
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.deadline import deadline
from worker.amqp.declaring import declare, missing, withdraw
from worker.amqp.direct_replies import DirectReplies
from worker.amqp.hand import Hand
from worker.amqp.link import Link
from worker.amqp.links import Links
from worker.amqp.messages import WireFormat
from worker.amqp.options import BrokerOptions
from worker.amqp.publisher import BrokerPublisher
from worker.amqp.settlement import ChannelSettlement
from worker.amqp.shares import Shares
from worker.amqp.source import Source
from worker.amqp.topology import Topology, TopologyWrong
from worker.amqp.watchdog import Watchdog
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the pipeline of one epoch works with."""

    consumer: Consumer
    publisher: BrokerPublisher
    settlement: Shares


class Sessions:
    """Opens a session for each epoch. Nothing is carried over from one to the next."""

    def __init__(
        self,
        *,
        options: BrokerOptions,
        topology: Topology,
        declares: bool,
        decoder: Decoder,
        clock: Callable[[], datetime],
    ) -> None:
        self._options = options
        self._topology = topology
        self._declares = declares
        self._decoder = decoder
        self._wire = WireFormat(topology, DeadLetters(worker_name=options.worker_name, clock=clock))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Session]:
        """Connect, look at the topology, and send the canary; the consumer is there, and not started.

        Raises EpochOver; TopologyWrong where an object is missing or different.
        """
        async with Links(self._options) as links:
            consuming = await links.open("consume", confirms=False)
            await self._look_at_topology(consuming)
            publishing = await links.open("publish", confirms=True)
            channel = ConfirmingChannel(
                publishing.channel,
                timeout_s=self._options.confirm_timeout_s,
                in_flight_max=self._options.in_flight_max,
                renew=partial(publishing.renew, confirms=True),
                canary=self._wire.canary(),
            )
            await self._send_canary(channel)
            direct = DirectReplies(self._replacing(links))
            await direct.open()
            hand = Hand()
            consumer = self._consumer(consuming, hand)
            settling = ChannelSettlement(consuming.channel, hand=hand, timeout_s=self._options.settle_timeout_s)
            shares = Shares(settling, consumer, hand=hand)
            consuming.when_lost(consumer.fail)
            publishing.when_lost(consumer.fail)
            async with await self._watchdog(consumer, consuming, channel, shares):
                yield Session(
                    consumer=consumer,
                    publisher=BrokerPublisher(channel, direct, self._wire),
                    settlement=shares,
                )
            await shares.keep()

    def _consumer(self, link: Link, hand: Hand) -> Consumer:
        queues = self._topology.sources
        sources = [
            Source(
                link.channel,
                queue,
                prefetch=self._options.prefetch // len(queues) or 1,
                is_partition=queue in self._topology.partitions,
                timeout_s=self._options.settle_timeout_s,
            )
            for queue in queues
        ]
        return Consumer(link.channel, sources=sources, hand=hand, decode=self._decoder)

    async def _watchdog(
        self, consumer: Consumer, link: Link, publishing: ConfirmingChannel, shares: Shares
    ) -> Watchdog:
        async with deadline("opening the watchdog's channel", self._options.connect_timeout_s):
            channel = await link.new_channel()  # once an epoch: aiormq forgets no channel that was closed
        return Watchdog(
            consumer,
            channel,
            topology=self._topology,
            share=shares.share,
            send_canary=partial(self._send_canary, publishing),
            every_s=self._options.watchdog_s,
            timeout_s=self._options.confirm_timeout_s,
        )

    def _replacing(self, links: Links) -> Callable[[], Awaitable[ConfirmingChannel]]:
        """Return what opens the direct replies' connection, anew each time."""

        async def reopen() -> ConfirmingChannel:
            link = await links.open("direct replies", confirms=True)
            return ConfirmingChannel(
                link.channel, timeout_s=self._options.confirm_timeout_s, in_flight_max=self._options.in_flight_max
            )

        return reopen

    async def _look_at_topology(self, link: Link) -> None:
        async with deadline("looking at the topology", self._options.connect_timeout_s):
            if self._declares:
                await declare(self._topology, link.new_channel)
                return
            absent = await missing(self._topology, link.new_channel)
        if absent:
            raise TopologyWrong(
                f"Missing on the broker: {', '.join(absent)}. Run `stream-worker topology apply` with the rights "
                "to configure, or set STREAMS_TOPOLOGY=declare."
            )

    async def _send_canary(self, channel: ConfirmingChannel) -> None:
        """Show that the way out works: before anything is taken in, and now and then.

        Two, one after the other: under an alarm the broker takes the first publish of a connection and confirms
        it, and only then stops to listen.
        """
        for _ in range(2):
            if await channel.send([self._wire.canary()]) == [Confirmation.UNKNOWN]:
                raise EpochOver("the broker confirms nothing: is a memory or disk alarm on?")


async def apply_topology(options: BrokerOptions, topology: Topology) -> list[str]:
    """Declare the topology and go; return the partitions that it has no more and that are still there.

    Raises EpochOver, TopologyWrong.
    """
    link = await Link.open(options, purpose="topology", confirms=False)
    try:
        async with deadline("declaring the topology", options.connect_timeout_s):
            await declare(topology, link.new_channel)
            return await withdraw(topology, link.new_channel)
    finally:
        await link.close()


async def missing_topology(options: BrokerOptions, topology: Topology) -> list[str]:
    """Return what is missing of the topology. Raises EpochOver."""
    link = await Link.open(options, purpose="topology", confirms=False)
    try:
        async with deadline("looking at the topology", options.connect_timeout_s):
            return await missing(topology, link.new_channel)
    finally:
        await link.close()
