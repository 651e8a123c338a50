"""Hears a queue for as long as it takes, whatever the broker does meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

from aiormq.abc import DeliveredMessage

from stream_client.broker_call import LinkLost, broker_call
from stream_client.errors import StreamMisconfigured, StreamUnavailable
from stream_client.link import Link
from tests.faults.journal import now_s

TROUBLE: Final = (LinkLost, StreamMisconfigured, StreamUnavailable)
"""What a broker in trouble does to whoever speaks to it: it is tried again."""

_PREFETCH: Final = 200
_OPEN_WITHIN_S: Final = 5.0
_ACK_WITHIN_S: Final = 5.0
_PAUSE_S: Final = 0.2


class Ear:
    """Consumes one queue that lasts, and acknowledges what is noted: what comes again is noted again."""

    def __init__(self, url: str, queue: str, note: Callable[[DeliveredMessage], None]) -> None:
        self._url = url
        self._queue = queue
        self._note = note
        self._is_listening = False
        self._last_s = now_s()

    @property
    def quiet_s(self) -> float:
        """For how long it has listened and heard nothing; 0 while it cannot hear."""
        return now_s() - self._last_s if self._is_listening else 0.0

    async def listen(self) -> NoReturn:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen_once()
            except TROUBLE:
                await asyncio.sleep(_PAUSE_S)

    async def _listen_once(self) -> None:
        async with Link.opening(self._url, name=f"ear {self._queue}", within_s=_OPEN_WITHIN_S) as link:
            channel = await link.watch(await link.channel())
            await channel.basic_qos(prefetch_count=_PREFETCH)
            await channel.basic_consume(self._queue, self._hear)
        try:
            self._last_s, self._is_listening = now_s(), True
            await link.lost
        finally:
            self._is_listening = False
            await link.close()

    async def _hear(self, message: DeliveredMessage) -> None:
        self._last_s = now_s()
        self._note(message)
        try:
            async with broker_call(_ACK_WITHIN_S):
                await message.channel.basic_ack(message.delivery_tag or 0)
        except TROUBLE:
            pass
