"""Throwing what no client would send, and finding it among the dead letters."""

import asyncio
import struct
from collections.abc import AsyncGenerator
from typing import Final

import aiormq
from aio_pika import connect
from aio_pika.abc import AbstractIncomingMessage
from aiormq import spec
from typing_extensions import override

from devtools.demo.acts import Spoilt, Throw
from devtools.demo.ledger import Letter
from worker.amqp.topology import topology
from worker.config.groups.broker import BrokerSettings

_OBJECTS: Final = topology(BrokerSettings.model_fields["namespace"].default)
_WITHIN_S: Final = 30.0

_TIMESTAMP: Final = 0x0040  # its flag in a header, AMQP 0-9-1, section 4.2.6.1
_YEAR_58000: Final = 1_768_210_200_123  # milliseconds where there should be seconds: past every calendar


class _Undecodable(spec.Basic.Properties):
    """Properties that the broker passes on, and that end a client which reads them as it should."""

    @override
    def marshal(self) -> bytes:
        return struct.pack(">HQ", _TIMESTAMP, _YEAR_58000 * 1_000)


async def throw(url: str, act: Throw) -> None:
    """Send it, past every client that knows the contract, and wait until the broker has it."""
    async with asyncio.timeout(_WITHIN_S), aiormq.connect(url) as connection:
        channel = await connection.channel()
        await channel.basic_publish(
            act.body, exchange=_OBJECTS.commands, routing_key="any", properties=_properties(act.spoilt)
        )


def _properties(spoilt: Spoilt) -> spec.Basic.Properties:
    match spoilt:
        case Spoilt.JSON:
            return spec.Basic.Properties(message_type="stream.create", delivery_mode=2)
        case Spoilt.PROPERTIES:
            return _Undecodable()
        case Spoilt.ADDRESS:
            return spec.Basic.Properties(message_type="stream.create", delivery_mode=2, reply_to=_OBJECTS.commands)


async def dead_letters(url: str) -> AsyncGenerator[Letter, None]:
    """Yield each as it comes, for ever. The queue is emptied by it: it is the demo's own."""
    async with await connect(url, timeout=_WITHIN_S) as connection:
        queue = await (await connection.channel()).get_queue(_OBJECTS.dead, ensure=False)
        async with queue.iterator() as messages:
            async for message in messages:
                yield _letter(message)
                await message.ack()


def _letter(message: AbstractIncomingMessage) -> Letter:
    """Read the reason that the worker gave, or the broker, where it gave up by itself."""
    headers = message.headers
    reason = headers.get("x-streams-reason") or headers.get("x-first-death-reason") or ""
    return Letter(body=message.body, reason=str(reason))
