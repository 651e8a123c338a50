"""Sees to it that an epoch which consumes is not deaf.

A consumer can be gone, or starve, without a word: the broker's cancel can be lost, a queue can lose its leader, a
connection can be dead in one direction. So the watchdog asks the broker, on a channel of its own on the consuming
connection; and it says something to nobody on the publishing one, which under an alarm has no confirm.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiormq.channel import Channel
from aiormq.exceptions import ChannelNotFoundEntity
from pamqp.commands import Queue
from typing_extensions import override

from worker.amqp.consumer import Consumer
from worker.amqp.deadline import deadline
from worker.amqp.source import Source
from worker.amqp.topology import Topology
from worker.service.ports import EpochOver


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look found at one queue: what the broker says of it, and what we know ourselves.

    `tag` is our consumer's; with another one in between, two looks say nothing together. `arrived_first` is how
    many deliveries had arrived when we asked, `arrived` when we had the answer: what was ready may be among them.
    `is_ours`: whether what is ready there should come to us.
    """

    tag: str | None
    ready: int
    consumers: int
    arrived_first: int
    arrived: int
    unsettled: int
    is_ours: bool = True

    def suspicion(self, before: "Look | None") -> str | None:
        """Return why the epoch is deaf if this look and the one before show it.

        One look shows nothing: what is ready may be on its way, and a quorum queue whose process does not answer
        at once is reported as one with neither messages nor consumers (RabbitMQ 3.10). Of a partition the broker
        counts the active consumer only, whose ever it is, and does not say whose.
        """
        if before is None or self.tag is None or self.tag != before.tag:
            return None
        if not self.consumers and not before.consumers:
            return "the broker knows of no consumer; has the queue lost its leader?"
        if self.starves and before.starves and self.arrived == before.arrived_first:
            return f"{self.ready} messages are ready and none arrives"
        return None

    @property
    def starves(self) -> bool:
        """Whether there is something to be had and we have nothing: the next one should come at once."""
        return self.is_ours and bool(self.ready) and not self.unsettled


class Watchdog(AbstractAsyncContextManager["Watchdog"]):
    """Looks every `every_s` seconds while the consumer should consume, and fails it where it is deaf.

    It looks neither before the start, nor during a pause, nor while the inbox closes: then nothing is lost that is
    not known, and what is in hand should not be handed over again for it.
    """

    def __init__(
        self,
        consumer: Consumer,
        channel: Channel,
        *,
        topology: Topology,
        share: Callable[[int], Awaitable[None]],
        send_canary: Callable[[], Awaitable[None]],
        every_s: float,
        timeout_s: float,
    ) -> None:
        self._consumer = consumer
        self._channel = channel
        self._topology = topology
        self._share = share
        self._send_canary = send_canary
        self._every_s = every_s
        self._timeout_s = timeout_s

    @override
    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch(), name="watchdog")
        self._watching.add_done_callback(self._tell)
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to watch. Raises what the watchdog died of, if that was a defect."""
        self._watching.cancel()
        await asyncio.wait({self._watching}, timeout=self._timeout_s)
        if (defect := _end_of(self._watching)) is not None and not isinstance(defect, EpochOver):
            raise defect

    def _tell(self, watching: "asyncio.Task[None]") -> None:
        end = _end_of(watching)
        if isinstance(end, EpochOver):
            self._consumer.fail(end)
        elif end is not None:
            self._consumer.fail(EpochOver("the watchdog died of a defect"))

    async def _watch(self) -> None:
        before: dict[Source, Look] = {}
        while True:
            await asyncio.sleep(self._every_s)
            if not self._consumer.should_consume:
                before = {}
                continue
            looks = await self._look()
            if self._consumer.should_consume:  # and not only since we asked
                for source, look in looks.items():
                    _judge(source.queue, look, before.get(source))
                await self._share(looks[self._consumer.sources[0]].consumers)
            before = looks

    async def _look(self) -> dict[Source, Look]:
        """Ask for all that the worker lives on. Raises EpochOver where it is not there, or nobody answers."""
        sources = self._consumer.sources
        first = {source: (source.tag, source.pile.arrived) for source in sources}
        found = await self._ask()
        await self._send_canary()
        return {
            source: Look(
                tag=first[source][0],
                ready=found[source.queue].message_count or 0,
                consumers=found[source.queue].consumer_count or 0,
                arrived_first=first[source][1],
                arrived=source.pile.arrived,
                unsettled=source.pile.unsettled,
                is_ours=source.is_ours,
            )
            for source in sources
        }

    async def _ask(self) -> dict[str, Queue.DeclareOk]:
        """Ask for the exchanges, then for the queues, those of commands last."""
        found: dict[str, Queue.DeclareOk] = {}
        name = ""
        async with deadline("the watchdog's look at the queues", self._timeout_s):
            try:
                for exchange in self._topology.exchanges:
                    name = f"exchange {exchange.name}"
                    await self._channel.exchange_declare(exchange.name, passive=True)
                for queue in (self._topology.dead, *self._topology.sources):
                    name = f"queue {queue}"
                    found[queue] = await self._channel.queue_declare(queue, passive=True)
            except ChannelNotFoundEntity as gone:  # which closed this channel and nothing else
                raise EpochOver(f"the {name} is not there") from gone
        return found


def _judge(queue: str, look: Look, before: Look | None) -> None:
    if look.tag is None:
        raise EpochOver(f"the consumer of {queue} is gone")
    if (why := look.suspicion(before)) is not None:
        raise EpochOver(f"deaf on {queue}: {why}")


def _end_of(task: "asyncio.Task[None]") -> BaseException | None:
    return None if not task.done() or task.cancelled() else task.exception()
