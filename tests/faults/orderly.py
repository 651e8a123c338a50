"""Devices that speak without waiting for answers: what each asks makes sense in its order and in no other."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from typing_extensions import override

from tests.support.wire import eventually

_IN_FLIGHT: Final = 20
_ANSWERED_WITHIN_S: Final = 90.0
_SOUND: Final = ("created", "stopped")


class Orderly(AbstractAsyncContextManager["Orderly"]):
    """Has each device create and stop its stream in turn, with many commands under way: in order, each finds
    something to do. A command that is carried out too early finds its work done, or nothing.
    """

    def __init__(self, url: str, namespace: str, *, devices: int) -> None:
        self._url = url
        self._namespace = namespace
        self._devices = [f"orderly-{number}" for number in range(devices)]
        self._sent: defaultdict[str, int] = defaultdict(int)
        self._outcomes: defaultdict[str, dict[int, str]] = defaultdict(dict)
        self._over = asyncio.Event()

    @override
    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._url, timeout=_ANSWERED_WITHIN_S)
        self._channel = await self._connection.channel()
        self._replies = await self._channel.declare_queue(exclusive=True)
        await self._replies.consume(self._hear, no_ack=True)
        self._commands = await self._channel.get_exchange(f"{self._namespace}.commands", ensure=False)
        self._speaking = [asyncio.create_task(self._speak(device)) for device in self._devices]
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._speaking:
            task.cancel()
        await asyncio.gather(*self._speaking, return_exceptions=True)
        await self._connection.close()

    @property
    def answers(self) -> int:
        """How many commands have been answered."""
        return sum(map(len, self._outcomes.values()))

    async def end(self) -> None:
        """Say nothing more, and wait until all is answered. Raises TimeoutError."""
        self._over.set()
        await asyncio.gather(*self._speaking)
        await eventually(self._is_all_answered, within_s=_ANSWERED_WITHIN_S)

    def out_of_order(self) -> Sequence[str]:
        """Return what was not answered as it had to be: by device, the command's number and the outcome."""
        return [
            f"{device}/{number}: {outcome}"
            for device, outcomes in self._outcomes.items()
            for number, outcome in sorted(outcomes.items())
            if outcome != _SOUND[number % 2]
        ]

    async def _is_all_answered(self) -> bool:
        return self.answers == sum(self._sent.values())

    async def _speak(self, device: str) -> None:
        while not self._over.is_set():
            number = self._sent[device]
            if number - len(self._outcomes[device]) >= _IN_FLIGHT:
                await asyncio.sleep(0.01)
                continue
            self._sent[device] += 1
            command = aio_pika.Message(
                json.dumps({"device_id": device}).encode(),
                type="stream.stop" if number % 2 else "stream.create",
                content_type="application/json",
                message_id=f"{device}/{number}",
                correlation_id=f"{device}/{number}",
                reply_to=self._replies.name,
                delivery_mode=2,
            )
            await self._commands.publish(command, device)

    async def _hear(self, message: AbstractIncomingMessage) -> None:
        device, _, number = (message.correlation_id or "").partition("/")
        told = json.loads(message.body)
        self._outcomes[device].setdefault(int(number), told.get("outcome") or told["code"])
