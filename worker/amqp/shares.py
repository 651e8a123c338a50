"""This worker's share of the partitions.

The first worker there is the active consumer of every partition, and the others wait in line for as long as it
lives. So whoever has more than its share passes the rest on: each to the next worker in its line, who may pass it
on in turn. Nobody needs to know who the others are, only how many.
"""

import asyncio
import logging
import math
import random
from collections.abc import Sequence

from typing_extensions import override

from worker.amqp.consumer import Consumer
from worker.amqp.hand import Hand, Pile
from worker.amqp.settlement import ChannelSettlement
from worker.amqp.source import Source
from worker.service.messages import DeadLetter, Delivery
from worker.service.ports import Settlement

log = logging.getLogger(__name__)


class Shares(Settlement):
    """Settles, and passes on what is more than this worker's share.

    A partition is passed on when nothing of it is on its way to us and all that we got is saved and said: its
    acknowledgements are kept back until its prefetch is used up. One without so much to do is not worth the move:
    what was kept back is acknowledged when `share` is called again. Nor is anything kept back while the consumer
    is careful: what goes alone would wait for it, and the end of the process would cost it a delivery count.
    """

    def __init__(self, settlement: ChannelSettlement, consumer: Consumer, *, hand: Hand) -> None:
        self._settlement = settlement
        self._consumer = consumer
        self._hand = hand
        self._leaving: dict[Source, list[Delivery]] = {}
        self._settling = asyncio.Lock()  # the watchdog's task and the pipeline's: tags go out in order

    async def share(self, workers: int) -> None:
        """Begin to pass on what is too much for one of so many. Raises EpochOver."""
        await self.keep()
        ours = [source for source in self._consumer.sources if source.is_partition and source.is_ours]
        count = sum(source.is_partition for source in self._consumer.sources)
        surplus = len(ours) - math.ceil(count / max(workers, 1))
        if surplus > 0 and not self._consumer.is_careful:
            self._leaving = {source: [] for source in random.sample(ours, surplus)}

    async def keep(self) -> None:
        """Pass nothing on any more, and acknowledge what was kept back for it. Raises EpochOver."""
        async with self._settling:
            await self._keep()

    async def _keep(self) -> None:
        leaving, self._leaving = self._leaving, {}
        if kept_back := [delivery for deliveries in leaving.values() for delivery in deliveries]:
            await self._settlement.acknowledge(kept_back)

    @override
    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        async with self._settling:
            if self._consumer.is_careful:
                await self._keep()
            await self._settlement.acknowledge(self._keep_back(deliveries) if self._leaving else deliveries)
            for source, kept_back in list(self._leaving.items()):
                if len(kept_back) == source.pile.unsettled == source.prefetch:
                    del self._leaving[source]
                    if await self._consumer.pass_on(source):
                        log.info("partition.passed_on", extra={"queue": source.queue})
                    await self._settlement.acknowledge(kept_back)

    @override
    async def give_to_broker(self, letters: Sequence[DeadLetter]) -> None:
        async with self._settling:
            await self._settlement.give_to_broker(letters)

    def _keep_back(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Keep back what is of a partition that is to leave; return the rest."""
        by_pile: dict[Pile | None, list[Delivery]] = {s.pile: kept_back for s, kept_back in self._leaving.items()}
        rest: list[Delivery] = []
        for delivery in deliveries:
            kept_back = by_pile.get(self._hand.pile_of(delivery.tag))
            if kept_back is None:
                rest.append(delivery)
            else:
                kept_back.append(delivery)
                self._hand.keep_back(delivery.tag)
        return rest
