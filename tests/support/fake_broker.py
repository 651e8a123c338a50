"""A broker in memory: a queue of commands, and a way out whose every end can be chosen."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NoReturn, TypeVar

from typing_extensions import override

from tests.support.making import Tag
from worker.service.messages import (
    Confirmation,
    DeadLetter,
    Delivery,
    Incoming,
    Outgoing,
    Received,
    Refused,
    Reply,
    StoredEvent,
    Unreadable,
)
from worker.service.ports import EpochOver, Inbox, InboxClosed, Publisher, Settlement

M = TypeVar("M", StoredEvent, Reply, DeadLetter)

NARROW = 1


class Fate(Enum):
    """What becomes of a publish. Of the two that end UNKNOWN one arrives. Only events are HELD_UP."""

    CONFIRMED = auto()
    REFUSED = auto()
    GIVEN_UP = auto()
    HELD_UP = auto()
    LOST = auto()
    UNSURE = auto()

    @property
    def confirmation(self) -> Confirmation:
        if self in {Fate.LOST, Fate.UNSURE}:
            return Confirmation.UNKNOWN
        return Confirmation[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A message was published."""

    message: Outgoing
    fate: Fate

    @property
    def arrived(self) -> bool:
        return self.fate in {Fate.CONFIRMED, Fate.UNSURE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A delivery was acknowledged. `message` is what had been sent."""

    message: Incoming


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenBack:
    """A delivery was rejected, for the broker to keep."""

    letter: DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class Widened:
    """The consumer asked for more than one delivery at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The consumer stopped to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """The consumer takes again, one delivery at a time."""


Entry = Published | Acknowledged | GivenBack | Widened | Paused | Resumed


async def _at_once() -> None:
    await asyncio.sleep(0)


class FakeBroker:
    """Delivers each message until it is settled, and writes down what happens, in order.

    `fate` decides the end of each publish. `arriving` and `confirming` are awaited before and after messages
    arrive: tests hold them back there, and look.
    """

    def __init__(self, *, prefetch: int = 1_000) -> None:
        self.prefetch = prefetch
        self.journal: list[Entry] = []
        self.fate: Callable[[Outgoing], Fate] = lambda _: Fate.CONFIRMED
        self.arriving: Callable[[], Awaitable[object]] = _at_once
        self.confirming: Callable[[], Awaitable[object]] = _at_once
        self._queue: deque[tuple[Incoming, int]] = deque()  # and how often it was delivered before
        self._sessions: list[FakeSession] = []
        self._news = asyncio.Event()

    def send(self, *messages: Incoming) -> None:
        """Publish to the command queue."""
        self._queue.extend((message, 0) for message in messages)
        self.deliver()

    def open(self) -> "FakeSession":
        """Connect as a worker does for an epoch; nothing is delivered before it starts, and then narrowly."""
        session = FakeSession(self)
        self._sessions.append(session)
        self.deliver()
        return session

    def forget(self, session: "FakeSession", unsettled: Sequence[tuple[Incoming, int]]) -> None:
        """A session has ended: what it has not settled goes to whoever is there, in the old order."""
        self._sessions.remove(session)
        self._queue.extendleft((message, count + 1) for message, count in reversed(unsettled))
        self.deliver()

    def deliver(self) -> None:
        """Hand out as much as the sessions may have in hand, to each in turn."""
        while self._queue and (able := [session for session in self._sessions if session.has_room]):
            for session in able[: len(self._queue)]:
                session.receive(*self._queue.popleft())
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def until(self, holds: Callable[[], bool], *, within_s: float = 30) -> None:
        """Wait until something holds; it is asked whenever something happened. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not holds():
                await self._news.wait()

    @property
    def in_hand(self) -> list[Incoming]:
        """What was delivered and is not settled."""
        return [message for session in self._sessions for message in session.unsettled.values()]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is queued and nothing in hand."""
        return not self._queue and not any(session.unsettled for session in self._sessions)

    def note(self, *entries: Entry) -> None:
        self.journal.extend(entries)
        self.deliver()

    def published(self, kind: type[M]) -> list[M]:
        """All messages of a kind that were published, whatever became of them, in order."""
        return [e.message for e in self.journal if isinstance(e, Published) and isinstance(e.message, kind)]

    def arrived(self, kind: type[M]) -> list[M]:
        """The messages of a kind that arrived, in order."""
        return [
            entry.message
            for entry in self.journal
            if isinstance(entry, Published) and entry.arrived and isinstance(entry.message, kind)
        ]

    @property
    def acknowledged(self) -> list[Incoming]:
        return [entry.message for entry in self.journal if isinstance(entry, Acknowledged)]

    @property
    def given_back(self) -> list[DeadLetter]:
        return [entry.letter for entry in self.journal if isinstance(entry, GivenBack)]


class FakeSession(Inbox, Publisher, Settlement):
    """What one worker has of the broker for the length of an epoch."""

    def __init__(self, broker: FakeBroker) -> None:
        self.unsettled: dict[int, Incoming] = {}
        self._counts: dict[int, int] = {}  # by tag, settled or not
        self._broker = broker
        self._arrived: deque[Incoming] = deque()
        self._tags = 0
        self._prefetch = NARROW
        self._in_hand_before = 0  # the tags that other consumers of ours got: the prefetch does not count them
        self._started = False
        self._paused = False
        self._closed = False
        self._over: EpochOver | None = None
        self._is_publishing = False

    @property
    def has_room(self) -> bool:
        is_taking = self._started and not self._paused and not self._closed and self._over is None
        return is_taking and sum(tag > self._in_hand_before for tag in self.unsettled) < self._prefetch

    def receive(self, message: Incoming, delivery_count: int) -> None:
        self._tags += 1
        self.unsettled[self._tags] = message
        self._counts[self._tags] = delivery_count
        self._arrived.append(_delivered(message, Tag(tag=self._tags, delivery_count=delivery_count)))

    def lose(self, reason: str = "the connection is gone") -> None:
        """Have the connection go: nothing works any more."""
        self._over = EpochOver(reason)
        self._broker.deliver()

    def end(self) -> None:
        """Close the connections, as the end of an epoch does."""
        self._over = EpochOver("the session was closed")
        self._broker.forget(
            self, [(message, self._counts[tag]) for tag, message in sorted(self.unsettled.items())]
        )

    def _check(self) -> None:
        if self._over is not None:
            raise self._over

    @override
    async def start(self) -> None:
        self._check()
        if not self._closed:
            self._started = True
            self._broker.deliver()

    @override
    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        try:
            async with asyncio.timeout(within_s):
                await self._broker.until(self._has_something, within_s=60)
        except TimeoutError:
            return []
        self._check()
        if not self._arrived:
            raise InboxClosed("the inbox was closed")
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    def _has_something(self) -> bool:
        return bool(self._arrived) or self._closed or self._over is not None

    @override
    async def watch(self) -> NoReturn:
        while True:
            await self._broker.until(lambda: self._over is not None, within_s=60)
            self._check()

    @override
    async def close(self) -> None:
        self._closed = True
        self._broker.deliver()

    @override
    async def widen(self) -> bool:
        self._check()
        if self._prefetch == NARROW and len(self.unsettled) <= NARROW and not self._paused and not self._closed:
            self._consume(self._broker.prefetch)
            self._broker.note(Widened())
        return self._prefetch != NARROW and not self._paused

    @override
    async def pause(self) -> bool:
        self._check()
        if self._closed and not self._started:
            raise InboxClosed("the inbox was closed before it was started")
        if self._started and not self._paused and not self._closed:
            self._paused = True
            self._broker.note(Paused())
        return self._started

    @override
    async def resume(self) -> None:
        self._check()
        if self._paused and not self._closed:
            self._paused = False
            self._consume(NARROW)
            self._broker.note(Resumed())

    def _consume(self, prefetch: int) -> None:
        self._prefetch = prefetch
        self._in_hand_before = self._tags

    @override
    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[Confirmation]:
        assert not self._is_publishing, "the order of two calls at once is nobody's"
        self._is_publishing = True
        await self._broker.arriving()
        fates = [self._fate(message) if self._over is None else Fate.LOST for message in messages]
        self._broker.note(*(Published(message=m, fate=f) for m, f in zip(messages, fates, strict=True)))
        await self._broker.confirming()
        self._is_publishing = False
        return [fate.confirmation for fate in fates]

    def _fate(self, message: Outgoing) -> Fate:
        fate = self._broker.fate(message)
        return Fate.CONFIRMED if fate is Fate.HELD_UP and not isinstance(message, StoredEvent) else fate

    @override
    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self._check()
        # A tag that is not in hand any more is a KeyError here and the end of the channel on a real broker.
        self._broker.note(*[Acknowledged(message=self.unsettled.pop(delivery.tag)) for delivery in deliveries])

    @override
    async def give_to_broker(self, letters: Sequence[DeadLetter]) -> None:
        self._check()
        for letter in letters:
            del self.unsettled[letter.delivery.tag]
        self._broker.note(*(GivenBack(letter=letter) for letter in letters))


def _delivered(message: Incoming, delivery: Tag) -> Incoming:
    match message:
        case Received() | Refused() | Unreadable():
            return replace(message, delivery=delivery)
