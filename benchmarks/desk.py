"""The other side of the broker: who asks, who is answered, and who hears the events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from benchmarks.books import Heard
from benchmarks.load import Command
from worker.amqp.declaring import declare
from worker.amqp.topology import topology

_IN_FLIGHT_MAX: Final = 500
_DRAIN_DEADLINE_S: Final = 60.0


class Desk:
    """One namespace of its own. Replies and events wait in their queues, so that whoever measures is idle."""

    def __init__(self, namespace: str, *, sending: Channel, pacing: Channel, hearing: Channel) -> None:
        self.namespace = namespace
        self._sending = sending
        self._pacing = pacing
        self._hearing = hearing
        self._names = topology(namespace)
        self._replies = f"{namespace}.reply.desk"
        self._events = f"{namespace}.heard"
        self._ear: str | None = None

    async def open(self) -> None:
        """Make the queues: the worker's own, and transient ones for replies and events."""
        for queue in (self._replies, self._events):
            await self._hearing.queue_declare(queue, exclusive=True)
        await self._hearing.queue_bind(self._events, self._names.events, routing_key="#")

    async def close(self) -> None:
        """Leave nothing on the broker."""
        for queue in (self._replies, self._events, *(queue.name for queue in self._names.queues)):
            await self._hearing.queue_delete(queue)
        for exchange in self._names.exchanges:
            await self._hearing.exchange_delete(exchange.name)

    async def ask(self, number: int, command: Command) -> None:
        """Send one command, persistent; its reply brings `number` back. No confirm: a reply says more."""
        await self._send(self._pacing, number, command)

    async def _send(self, channel: Channel, number: int, command: Command) -> None:
        await channel.basic_publish(
            command.body,
            exchange=self._names.commands,
            routing_key=command.device_id,
            properties=Basic.Properties(
                content_type="application/json",
                delivery_mode=2,
                message_type=command.kind,
                message_id=command.message_id,
                correlation_id=str(number),
                reply_to=self._replies,
            ),
            wait=False,
        )

    async def ask_all(self, commands: Sequence[Command]) -> None:
        """Send all, in order, and wait until the broker has them."""
        for start in range(0, len(commands), _IN_FLIGHT_MAX):
            some = commands[start : start + _IN_FLIGHT_MAX]
            await asyncio.gather(
                *(self._send(self._sending, number, command) for number, command in enumerate(some, start))
            )

    async def replied(self) -> int:
        """Return how many replies wait."""
        return (await self._hearing.queue_declare(self._replies, passive=True)).message_count or 0

    async def waiting(self) -> tuple[int, int]:
        """Return how many commands wait, and how many consumers there are for them."""
        ok = await self._hearing.queue_declare(self._names.commands, passive=True)
        return ok.message_count or 0, ok.consumer_count or 0

    async def lengths(self) -> tuple[int, ...]:
        """Return how many messages wait in each queue."""
        names = (self._names.commands, self._replies, self._events)
        return tuple([(await self._hearing.queue_declare(n, passive=True)).message_count or 0 for n in names])

    async def hear(self, heard: Callable[[int, bytes], None]) -> None:
        """Consume replies from now on, and tell of each with the number of its command."""

        def arrived(message: DeliveredMessage) -> None:
            heard(int(message.header.properties.correlation_id or -1), message.body)

        self._ear = await self._consume(self._replies, arrived)

    async def heard(self) -> Heard:
        """Take all that waits, and hear no more: to be called when the system has stopped."""
        if self._ear is not None:
            await self._hearing.basic_cancel(self._ear)
        replies = await self._drained(self._replies)
        events = await self._drained(self._events)
        return Heard(
            replies=[(int(m.header.properties.correlation_id or -1), m.body) for m in replies],
            events=[message.body for message in events],
            left=(await self.waiting())[0],
        )

    async def _consume(self, queue: str, arrived: Callable[[DeliveredMessage], None]) -> str:
        ok = await self._hearing.basic_consume(queue, arrived, no_ack=True)  # type: ignore[arg-type] # need not be async
        return ok.consumer_tag or ""

    async def _drained(self, queue: str) -> list[DeliveredMessage]:
        count = (await self._hearing.queue_declare(queue, passive=True)).message_count or 0
        messages: list[DeliveredMessage] = []
        complete = asyncio.Event()

        def arrived(message: DeliveredMessage) -> None:
            messages.append(message)
            if len(messages) >= count:
                complete.set()

        if count:
            tag = await self._consume(queue, arrived)
            async with asyncio.timeout(_DRAIN_DEADLINE_S):
                await complete.wait()
            await self._hearing.basic_cancel(tag)
        return messages


async def _channel(connection: AbstractConnection, *, confirms: bool = True) -> Channel:
    channel = await connection.channel(publisher_confirms=confirms)
    return cast("Channel", await channel.get_underlay_channel())


@asynccontextmanager
async def open_desk(amqp_url: str, namespace: str) -> AsyncIterator[Desk]:
    """Open a desk in a namespace that nobody uses, and leave nothing of it."""
    async with await aio_pika.connect(amqp_url) as outward, await aio_pika.connect(amqp_url) as inward:
        await declare(topology(namespace), lambda: _channel(outward))
        desk = Desk(
            namespace,
            sending=await _channel(outward),
            pacing=await _channel(outward, confirms=False),
            hearing=await _channel(inward),
        )
        await desk.open()
        try:
            yield desk
        finally:
            await desk.close()
