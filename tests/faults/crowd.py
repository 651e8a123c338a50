"""Everybody outside of the worker: parties that ask, a subscriber who hears every event, one journal for all."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aiormq.abc import DeliveredMessage
from typing_extensions import override

from stream_client.broker_call import broker_call
from stream_client.connection import PlainConnection
from tests.faults.ear import TROUBLE, Ear
from tests.faults.history import Event, History, Letter
from tests.faults.journal import Journal, now_s
from tests.faults.load import KnownStreams, Load, Mix
from tests.faults.party import Party, Place
from tests.faults.snapshot import count_unpublished
from tests.faults.turns import Turns
from tests.support.wire import Undertaker, eventually

_BROKER_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a crowd does. The same seed asks the same, as far as it does not depend on what was answered.

    `hands`: how many commands each party has under way. `patience_s`: how long a hand waits for an answer before
    it goes on without. `sender`: the login of the broker's URL, for commands that say who they are from.
    """

    seed: int
    commands: int
    rate_per_s: float
    parties: int = 3
    devices: int = 12
    hands: int = 2
    patience_s: float = 2.0
    sender: str = ""
    mix: Mix = field(default_factory=Mix)


class Crowd(AbstractAsyncContextManager["Crowd"]):
    """Speaks while somebody else breaks things, and tells afterwards what happened.

    Inside the block everybody listens; a worker must have declared the namespace before. First `speak`; when the
    world is whole again, `settle`; then `history`. Nothing raises for what a worker does not do: that is the
    checkers' business.
    """

    def __init__(self, url: str, namespace: str, plan: Plan) -> None:
        self._url = url
        self._namespace = namespace
        self._plan = plan
        self._turns = Turns(commands=plan.commands, rate_per_s=plan.rate_per_s)
        self._heard = f"{namespace}.heard"
        self._listening: list[asyncio.Task[None]] = []
        self.journal = Journal()
        known = KnownStreams()
        devices = [f"cam-{number}" for number in range(plan.devices)]
        self._parties = [
            Party(
                Place(url=url, namespace=namespace),
                name=f"party-{number}",
                sender=plan.sender,
                hands=plan.hands,
                journal=self.journal,
                load=Load(seed=f"{plan.seed}/{number}", devices=devices, known=known, mix=plan.mix),
            )
            for number in range(plan.parties)
        ]
        self._subscriber = Ear(url, self._heard, self._hear_event)

    @override
    async def __aenter__(self) -> Self:
        await self.declare()
        ears = [party.ear for party in self._parties]
        self._listening = [asyncio.create_task(ear.listen()) for ear in (*ears, self._subscriber)]
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        await asyncio.gather(*(party.close() for party in self._parties))
        try:
            await self._sweep()
        except TROUBLE:
            if error is None:
                raise

    @property
    def reply_queues(self) -> Mapping[str, str]:
        """The parties by name, and the queue of each that lasts: whatever is answered there is written down."""
        return {party.name: party.reply_queue for party in self._parties}

    async def declare(self) -> None:
        """Make the queues that last, and bind the subscriber's: again too, after somebody deleted the exchange.

        What a broker is to keep through a kill must be a second old.
        """
        async with _channel(self._url) as channel:
            for name in self._queues:
                await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
            queue = await channel.get_queue(self._heard, ensure=False)
            await queue.bind(f"{self._namespace}.events", "#")

    async def speak(self) -> None:
        """Ask all that is planned, and return when all of it is confirmed, however long that takes."""
        async with asyncio.TaskGroup() as tasks:
            for party in self._parties:
                tasks.create_task(party.speak(self._turns, patience_s=self._plan.patience_s), name=party.name)

    @asynccontextmanager
    async def speaking(self, *, confirmed_within_s: float) -> AsyncIterator[None]:
        """Speak inside of the block, for as long as it takes where enough is planned; at its end nothing more is
        asked than what is being asked then. Raises TimeoutError where that is not confirmed in time.
        """
        async with asyncio.TaskGroup() as tasks:  # what ends the crowd ends the block
            speaking = tasks.create_task(self.speak(), name="crowd.speak")
            try:
                yield
                self._turns.end()
                async with asyncio.timeout(confirmed_within_s):
                    await asyncio.shield(speaking)
            finally:
                speaking.cancel()

    @property
    def has_heard_all(self) -> bool:
        """Whether all that is planned was asked, and has an answer."""
        return self._turns.are_over and not any(self.journal.unanswered(party.name) for party in self._parties)

    async def settle(self, database_url: str, *, within_s: float, quiet_s: float = 1.0) -> bool:
        """Ask again until all is answered, then wait until every event is out and nothing is heard any more.

        Whether it came to that in time: if not, the checkers will say what is missing.
        """
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*(party.insist() for party in self._parties))
                await eventually(lambda: self._is_quiet(database_url, quiet_s), within_s=within_s)
        except TimeoutError:
            return False
        return True

    async def history(self, *, gone: Collection[str] = (), unheard: Collection[str] = ()) -> History:
        """Return what happened, with the dead letters that lie there now; they stay."""
        async with asyncio.timeout(_BROKER_WITHIN_S), Undertaker(self._url, self._namespace) as undertaker:
            letters = [_letter(message) for message in await undertaker.all()]
        return self.journal.history(letters=letters, gone=gone, unheard=unheard)

    async def _is_quiet(self, database_url: str, quiet_s: float) -> bool:
        ears = [self._subscriber, *(party.ear for party in self._parties)]
        return min(ear.quiet_s for ear in ears) > quiet_s and not await count_unpublished(database_url)

    async def _sweep(self) -> None:
        async with _channel(self._url) as channel:
            for name in self._queues:
                await channel.queue_delete(name)

    @property
    def _queues(self) -> Sequence[str]:
        return [*(party.reply_queue for party in self._parties), self._heard]

    def _hear_event(self, message: DeliveredMessage) -> None:
        properties = message.header.properties
        self.journal.add_event(
            Event(
                message_id=properties.message_id,
                type=properties.message_type or "",
                routing_key=message.routing_key or "",
                body=message.body,
                at_s=now_s(),
            )
        )


def _letter(message: AbstractIncomingMessage) -> Letter:
    headers = message.headers
    return Letter(
        correlation_id=message.correlation_id,
        message_id=message.message_id,
        reason=str(headers.get("x-streams-reason") or headers.get("x-first-death-reason") or ""),
        body=message.body,
        at_s=now_s(),
    )


@asynccontextmanager
async def _channel(url: str) -> AsyncIterator[AbstractChannel]:
    """Open a channel for a short errand. Raises what `TROUBLE` names."""
    async with broker_call(_BROKER_WITHIN_S):
        connection = await aio_pika.connect(url, timeout=_BROKER_WITHIN_S, connection_class=PlainConnection)
        async with connection:
            yield await connection.channel()
