"""The fake broker and a real one behind one face, for the suite that both have to pass."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from tests.support.broker_side import Stranger, sessions
from tests.support.fake_broker import FakeBroker, FakeSession, Fate
from tests.support.making import received
from tests.support.proxy import Proxy
from worker.amqp.session import Sessions
from worker.domain.commands import CreateStream
from worker.service.messages import Incoming, Outgoing, Received, StoredEvent
from worker.service.ports import Inbox, Publisher, Settlement

PREFETCH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The three ports of one epoch."""

    inbox: Inbox
    publisher: Publisher
    settlement: Settlement


class Ends(Protocol):
    """Both ends of the ports: what senders and the broker do."""

    async def send(self, *numbers: int) -> None:
        """Publish a command for each number."""

    def epoch(self, *, started: bool = True) -> AbstractAsyncContextManager[Epoch]:
        """Begin to consume, narrowly, up to `PREFETCH` once it is widened; at the end the connections close."""

    async def lose(self) -> None:
        """Have the connections of all epochs go."""

    async def refuse(self, device_id: str) -> None:
        """Have the broker refuse this device's events from now on."""


def number_of(message: Incoming) -> int:
    """Which of the commands that were sent it is."""
    assert isinstance(message, Received)
    assert isinstance(message.command, CreateStream)
    return int(message.command.device_id.removeprefix("cam-"))


def numbers_of(messages: Sequence[Incoming]) -> list[int]:
    return [number_of(message) for message in messages]


@dataclass(slots=True)
class FakeEnds(Ends):
    """The fake."""

    broker: FakeBroker = field(default_factory=lambda: FakeBroker(prefetch=PREFETCH))
    sessions: list[FakeSession] = field(default_factory=list)

    @override
    async def send(self, *numbers: int) -> None:
        self.broker.send(*(received(CreateStream(device_id=f"cam-{number}")) for number in numbers))

    @override
    @asynccontextmanager
    async def epoch(self, *, started: bool = True) -> AsyncIterator[Epoch]:
        session = self.broker.open()
        if started:
            await session.start()
        self.sessions.append(session)
        try:
            yield Epoch(inbox=session, publisher=session, settlement=session)
        finally:
            self.sessions.remove(session)
            session.end()

    @override
    async def lose(self) -> None:
        for session in self.sessions:
            session.lose()

    @override
    async def refuse(self, device_id: str) -> None:
        def fate(message: Outgoing) -> Fate:
            is_meant = isinstance(message, StoredEvent) and message.device_id == device_id
            return Fate.REFUSED if is_meant else Fate.CONFIRMED

        self.broker.fate = fate


@dataclass(frozen=True, slots=True, kw_only=True)
class RealEnds(Ends):
    """RabbitMQ, through a proxy that can take the line away."""

    stranger: Stranger
    proxy: Proxy

    @override
    async def send(self, *numbers: int) -> None:
        await self.stranger.send(*(b'{"device_id": "cam-%d"}' % number for number in numbers))

    @override
    @asynccontextmanager
    async def epoch(self, *, started: bool = True) -> AsyncIterator[Epoch]:
        opening = sessions(self.proxy.url, self.stranger.namespace, prefetch=PREFETCH)
        async with opening.open() if started else Sessions.open(opening) as session:
            yield Epoch(inbox=session.consumer, publisher=session.publisher, settlement=session.settlement)

    @override
    async def lose(self) -> None:
        self.proxy.cut()

    @override
    async def refuse(self, device_id: str) -> None:
        arguments = {"x-max-length": 0, "x-overflow": "reject-publish"}
        full = await self.stranger.channel.declare_queue(exclusive=True, arguments=arguments)
        await full.bind(f"{self.stranger.namespace}.events", f"#.{device_id}")
