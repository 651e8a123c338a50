"""Throwing what no client would send, and finding it among the dead letters."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

import aiormq
from aio_pika import connect
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue
from aiormq import spec
from typing_extensions import override

from devtools.demo.acts import Spoilt, Throw
from devtools.demo.ledger import Letter

_EXCHANGE: Final = "streams.commands"
_DEAD: Final = "streams.dead"
_WITHIN_S: Final = 30.0

_TIMESTAMP: Final = 0x0040  # its flag in a header, AMQP 0-9-1, section 4.2.6.1
_YEAR_58000: Final = 1_768_210_200_123  # milliseconds where there should be seconds: past every calendar


class _Undecodable(spec.Basic.Properties):
    """Properties that the broker passes on, and that end a client which reads them as it should."""

    @override
    def marshal(self) -> bytes:
        return struct.pack(">HQ", _TIMESTAMP, _YEAR_58000 * 1_000)


class Catapult:
    """A connection that knows nothing of the contract."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(_WITHIN_S):
            self._connection = await aiormq.connect(self._url)
            self._open.push_async_callback(self._connection.close)
            self._channel = await self._connection.channel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def throw(self, act: Throw) -> None:
        """Send it, and wait until the broker has it."""
        await self._channel.basic_publish(
            act.body, exchange=_EXCHANGE, routing_key="any", properties=_properties(act.spoilt), timeout=_WITHIN_S
        )


def _properties(spoilt: Spoilt) -> spec.Basic.Properties:
    match spoilt:
        case Spoilt.JSON:
            return spec.Basic.Properties(message_type="stream.create", delivery_mode=2)
        case Spoilt.PROPERTIES:
            return _Undecodable()
        case Spoilt.ADDRESS:
            return spec.Basic.Properties(message_type="stream.create", delivery_mode=2, reply_to=_EXCHANGE)


class Graveyard:
    """The queue of dead letters, emptied as it fills: it is the demo's own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(_WITHIN_S):
            connection = await self._open.enter_async_context(await connect(self._url))
            channel = await connection.channel()
            self._queue: AbstractQueue = await channel.get_queue(_DEAD, ensure=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def letters(self) -> AsyncIterator[Letter]:
        """Yield each letter as it comes, for ever."""
        async with self._queue.iterator() as messages:
            async for message in messages:
                yield _letter(message)
                await message.ack()


def _letter(message: AbstractIncomingMessage) -> Letter:
    """Read the reason that the worker gave, or the broker, where it gave up by itself."""
    headers = message.headers
    reason = headers.get("x-streams-reason") or headers.get("x-first-death-reason") or ""
    return Letter(body=message.body, reason=str(reason))
