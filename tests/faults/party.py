"""A careful client: it asks until the broker has confirmed, reconnects for ever, and writes everything down."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol

from aiormq.abc import DeliveredMessage

from tests.faults.ear import Ear
from tests.faults.history import Answer, Fate, Request
from tests.faults.journal import Journal, now_s
from tests.faults.line import DIRECT, Line
from tests.faults.load import Command, Load

_PAUSE_S: Final = 0.2
_AGAIN_S: Final = 2.0
_AGAIN_S_MAX: Final = 8.0
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a worker is to be found: the broker, and the namespace on it."""

    url: str
    namespace: str


class Turns(Protocol):
    """Says when, and how much more, there is to ask."""

    async def next(self, load: Load) -> Sequence[Command]:
        """Wait for the next turn and return what is asked in it; nothing when all is asked."""


@dataclass(slots=True, kw_only=True)
class _Due:
    """When a request is to be asked again."""

    at_s: float
    pause_s: float = _AGAIN_S

    def wait_longer(self) -> None:
        self.pause_s = min(self.pause_s * 2, _AGAIN_S_MAX)
        self.at_s = now_s() + self.pause_s


class Party:
    """One client with a name, a reply queue that lasts, and lines for direct replies.

    `hands`: how many turns it takes at a time. `sender` is the login of the broker's URL, or nobody.
    """

    def __init__(self, place: Place, *, name: str, sender: str, hands: int, journal: Journal, load: Load) -> None:
        self.name = name
        self.reply_queue = f"{place.namespace}.reply.{name}"
        self.ear = Ear(place.url, self.reply_queue, self._hear)
        self._sender = sender
        self._hands = hands
        self._journal = journal
        self._load = load
        # One more than hands: a salvo of two goes out at once while another hand is busy.
        self._lines = [
            Line(place.url, namespace=place.namespace, name=f"{name} {number}", hear=self._hear)
            for number in range(hands + 1)
        ]
        self._due: dict[str, _Due] = {}
        self._idle: asyncio.Queue[Line] = asyncio.Queue()
        for line in self._lines:
            self._idle.put_nowait(line)

    async def speak(self, turns: Turns, *, patience_s: float) -> None:
        """Ask what its turns bring, each until it is confirmed; wait `patience_s` for its answer, and go on."""
        async with asyncio.TaskGroup() as tasks:
            asking_again = tasks.create_task(self._go_on_asking(), name=f"{self.name} again")
            hands = [
                tasks.create_task(self._speak(turns, patience_s), name=f"{self.name} hand {number}")
                for number in range(self._hands)
            ]
            await asyncio.wait(hands)
            asking_again.cancel()

    async def insist(self) -> None:
        """Wait until everything is answered. What was to be answered by direct reply-to is asked again, from the
        address of now: that of then may have died with its connection.
        """
        while waiting := self._journal.unanswered(self.name):
            await self._ask_again()
            await self._journal.until_answered(waiting[0].correlation_id, within_s=_LOOK_S)

    async def _go_on_asking(self) -> NoReturn:
        while True:
            await self._ask_again()
            await asyncio.sleep(_LOOK_S)

    async def _ask_again(self) -> None:
        """Ask for what is overdue at an address that may have died; each time with more patience: a worker that is
        only slow would get ever more to do.
        """
        for request in self._journal.unanswered(self.name):
            due = self._due.setdefault(request.correlation_id, _Due(at_s=request.at_s + _AGAIN_S))
            if request.reply_to == DIRECT and due.at_s <= now_s():
                due.wait_longer()
                await self._until_confirmed(request)

    async def close(self) -> None:
        """Close the lines."""
        await asyncio.gather(*(line.close() for line in self._lines))

    async def _speak(self, turns: Turns, patience_s: float) -> None:
        while salvo := await turns.next(self._load):
            await asyncio.gather(*(self._ask(command, patience_s) for command in salvo))

    async def _ask(self, command: Command, patience_s: float) -> None:
        request = Request(
            correlation_id=uuid.uuid4().hex,
            asker=self.name,
            sender=self._sender,
            message_id=command.message_id,
            kind=command.kind,
            body=command.body,
            reply_to=DIRECT if command.is_direct else self.reply_queue,
            at_s=now_s(),
        )
        self._journal.add_request(request)
        await self._until_confirmed(request)
        await self._journal.until_answered(request.correlation_id, within_s=patience_s)

    async def _until_confirmed(self, request: Request) -> None:
        while True:
            line = await self._idle.get()
            fate = Fate.UNKNOWN  # which is what it is for whoever is interrupted
            try:
                fate = await line.publish(request)
            finally:
                self._journal.add_try(request.correlation_id, fate)
                self._idle.put_nowait(line)
            if fate is Fate.CONFIRMED:
                return
            await asyncio.sleep(_PAUSE_S)

    def _hear(self, message: DeliveredMessage) -> None:
        properties = message.header.properties
        self._journal.add_answer(
            Answer(
                heard_by=self.name,
                correlation_id=properties.correlation_id,
                message_id=properties.message_id,
                type=properties.message_type or "",
                content_type=properties.content_type or "",
                body=message.body,
                at_s=now_s(),
            )
        )
        self._load.known.learn(message.body)
