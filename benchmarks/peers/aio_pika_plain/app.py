"""The application: a callback a message, a session a callback."""

import asyncio
import json
import logging

import aio_pika
import uvloop
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from benchmarks.peers.orm import Body, carry_out, engine_of, make_tables
from benchmarks.peers.place import place


class Worker:
    """Carries out commands, each with a session of its own."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], events: AbstractExchange, replies: AbstractExchange
    ) -> None:
        self._sessions = sessions
        self._events = events
        self._replies = replies

    async def handle(self, message: AbstractIncomingMessage) -> None:
        """Commit, say what happened, reply, and acknowledge."""
        async with message.process():
            device_id = json.loads(message.body)["device_id"]
            async with self._sessions.begin() as session:
                reply, event = await carry_out(session, message.type or "", device_id, message.message_id or "")
            if event is not None:
                await self._events.publish(_message(event), routing_key=f"{event['type']}.{device_id}")
            answer = _message(reply, correlation_id=message.correlation_id)
            await self._replies.publish(answer, routing_key=message.reply_to or "")


def _message(body: Body, correlation_id: str | None = None) -> aio_pika.Message:
    return aio_pika.Message(
        json.dumps(body).encode(),
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        correlation_id=correlation_id,
    )


async def main() -> None:
    """Consume until the process is ended."""
    logging.basicConfig(level=logging.WARNING)
    here = place()
    engine = engine_of(here.database_url)
    await make_tables(engine)
    connection = await aio_pika.connect_robust(here.amqp_url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=here.prefetch)
        events = await channel.get_exchange(here.events)
        worker = Worker(async_sessionmaker(engine, expire_on_commit=False), events, channel.default_exchange)
        queue = await channel.get_queue(here.commands)
        await queue.consume(worker.handle)
        await asyncio.Future()


if __name__ == "__main__":
    uvloop.run(main())
