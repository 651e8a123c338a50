"""A channel that consumes and is asked what there is, whose every answer is the test's."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, cast

from aiormq.channel import Channel
from pamqp.commands import Basic, Queue

from tests.support.writing import Writing
from worker.service.ports import EpochOver

_WITHIN_S: Final = 30.0


@dataclass
class QuietChannel(Writing):
    """Delivers nothing. `ready` and `consumers_said` are what the broker says of the command queue; of each other
    queue that is not in `ready_elsewhere`, that it is empty and has a consumer. `calls` is what was asked of it.
    """

    ready: int = 0
    ready_elsewhere: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    consumers_said: int = 1
    error: BaseException | None = None
    is_mute: bool = False
    has_alarm: bool = False
    looks: int = 0
    consumers: dict[str, Any] = field(default_factory=dict)
    on_consumer_cancel_callbacks: set[Any] = field(default_factory=set)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    tags: int = 0

    def __post_init__(self) -> None:
        super().__init__(self._acknowledged)

    async def basic_qos(self, *, prefetch_count: int) -> None:
        self.calls.append(f"prefetch {prefetch_count}")

    async def basic_consume(self, queue: str, callback: object) -> Basic.ConsumeOk:
        self.calls.append(f"consume {queue}")
        self.tags += 1
        tag = f"{queue}-{self.tags}"
        self.consumers[tag] = callback
        return Basic.ConsumeOk(consumer_tag=tag)

    async def basic_cancel(self, consumer_tag: str) -> None:
        self.calls.append(f"cancel {consumer_tag}")
        self.consumers.pop(consumer_tag, None)

    async def _acknowledged(self, ack: Basic.Ack) -> None:
        self.calls.append(f"ack {ack.delivery_tag}{' multiple' if ack.multiple else ''}")

    async def basic_reject(self, delivery_tag: int, *, requeue: bool) -> None:
        assert not requeue
        self.calls.append(f"reject {delivery_tag}")

    async def exchange_declare(self, name: str, *, passive: bool) -> None:
        del name
        assert passive

    async def queue_declare(self, queue: str, *, passive: bool) -> Queue.DeclareOk:
        assert passive
        if self.is_mute:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        if not queue.endswith(".commands"):
            ready = self.ready_elsewhere.get(queue, 0)
            return Queue.DeclareOk(queue=queue, message_count=ready, consumer_count=1)
        return Queue.DeclareOk(queue=queue, message_count=self.ready, consumer_count=self.consumers_said)

    async def send_canary(self) -> None:
        """The last step of a look."""
        if self.has_alarm:
            raise EpochOver("an alarm is on")
        self.looks += 1
        self.looked.set()

    async def until_looked(self, times: int) -> None:
        """Wait for so many more looks. Raises TimeoutError."""
        enough = self.looks + times
        async with asyncio.timeout(_WITHIN_S):
            while self.looks < enough:
                self.looked.clear()
                await self.looked.wait()

    def as_channel(self) -> Channel:
        """Itself, as what the worker takes it for."""
        return cast("Channel", self)
