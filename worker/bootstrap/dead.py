"""Work on the dead letters, for the command line: looking, sending back, throwing away."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from worker.amqp import guard
from worker.amqp.codec.age import AgeLimit
from worker.amqp.dead_queue import DeadQueue, open_dead_queue
from worker.amqp.letter import Letter
from worker.amqp.replaying import Fate, Replayer, foreseen, open_replayer
from worker.amqp.topology import TopologyWrong
from worker.amqp.wanted import Wanted
from worker.bootstrap import BrokerUnavailable, parts
from worker.config import Settings
from worker.service.ports import EpochOver

WINDOW: Final = 256  # letters that are replayed or thrown away at once; the work of a moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Which letters, and whom to tell. `limit`: so many at most.

    `begun` is told how many letters there are; `looked` after each one that was looked at; `told` of each letter
    that is meant, and what became of it: None where it was only looked at, or could go back.
    """

    wanted: Wanted
    limit: int | None
    begun: Callable[[int], None]
    looked: Callable[[], None]
    told: Callable[[Letter, Fate | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there was: letters at the beginning, those looked at, and consumers besides us."""

    ready: int
    looked: int
    others: int


async def look(settings: Settings, errand: Errand) -> Found:
    """Tell of each letter that is meant. Raises BrokerUnavailable, TopologyWrong."""
    async with _search(settings, errand) as search, aclosing(search.windows(1)) as windows:
        async for (letter,) in windows:
            errand.told(letter, None)
        return search.found


async def discard(settings: Settings, errand: Errand) -> Found:
    """Remove each letter that is meant. Raises BrokerUnavailable, TopologyWrong."""
    async with _search(settings, errand) as search, aclosing(search.windows(WINDOW)) as windows:
        async for window in windows:
            await search.queue.remove(window)
            for letter in window:
                errand.told(letter, Fate.DISCARDED)
        return search.found


async def rehearse(settings: Settings, errand: Errand) -> Found:
    """Tell of each letter that is meant, and why a replay would leave it. Raises as `look` does."""
    age = _age_limit(settings)
    async with _search(settings, errand) as search, aclosing(search.windows(1)) as windows:
        async for (letter,) in windows:
            errand.told(letter, foreseen(letter, age))
        return search.found


async def replay(settings: Settings, errand: Errand, *, with_reply_to: bool) -> Found:
    """Send the command of each letter that is meant once more, and remove the letter when that is confirmed.

    Raises BrokerUnavailable, TopologyWrong; ReplayRefused where the broker does not take such commands. Told is
    what became of each until then; no letter is removed before its command is safe.
    """
    options, names, age = (
        parts.broker_options(settings),
        parts.wanted_topology(settings),
        _age_limit(settings),
    )
    async with (
        _search(settings, errand) as search,
        open_replayer(options, names, with_reply_to=with_reply_to) as replayer,
        aclosing(search.windows(WINDOW)) as windows,
    ):
        async for window in windows:
            fates = {letter.number: foreseen(letter, age) for letter in window}
            await _replay(window, fates, search.queue, replayer, errand)
        return search.found


async def _replay(
    window: list[Letter], fates: dict[int, Fate | None], queue: DeadQueue, replayer: Replayer, errand: Errand
) -> None:
    """Replay those whose fate is open."""
    going = [letter for letter in window if fates[letter.number] is None]
    sent = await replayer.replay(going)
    fates |= {letter.number: fate for letter, fate in zip(going, sent, strict=True)}
    try:
        await queue.remove([letter for letter in going if fates[letter.number] is Fate.REPLAYED])
    except EpochOver:
        fates |= {letter.number: Fate.UNCONFIRMED for letter in going}  # sent, and not known to be gone
        raise
    finally:
        for letter in window:
            errand.told(letter, fates[letter.number])
    if Fate.UNCONFIRMED in fates.values():
        raise await replayer.why()


def _age_limit(settings: Settings) -> AgeLimit:
    return AgeLimit(retention_s=settings.handled_retention_s, clock=parts.now)


class _Search:
    """Goes through the letters for those that are meant."""

    def __init__(self, queue: DeadQueue, errand: Errand) -> None:
        self.queue = queue
        self._errand = errand
        self._looked = 0

    @property
    def found(self) -> Found:
        return Found(ready=self.queue.ready, looked=self._looked, others=self.queue.others)

    async def pass_over_the_rest(self) -> None:
        """Take what was not asked for too, so that the letters keep their order, and their numbers."""
        async for _ in self.queue.letters():
            self._errand.looked()

    async def windows(self, size: int) -> AsyncGenerator[list[Letter], None]:
        """Yield what is meant, so many at a time, until the limit."""
        errand, count, now = self._errand, 0, parts.now()
        errand.begun(self.queue.ready)
        window: list[Letter] = []
        async with aclosing(self.queue.letters()) as letters:
            async for letter in letters:
                self._looked += 1
                errand.looked()
                if errand.wanted.matches(letter, now):
                    window.append(letter)
                    count += 1
                full = errand.limit is not None and count >= errand.limit
                if window and (full or len(window) == size):
                    yield window
                    window = []
                if full:
                    return
        if window:
            yield window


@asynccontextmanager
async def _search(settings: Settings, errand: Errand) -> AsyncIterator[_Search]:
    guard.install()  # what lies there may be what no library can read
    try:
        async with open_dead_queue(parts.broker_options(settings), parts.wanted_topology(settings)) as queue:
            search = _Search(queue, errand)
            yield search
            await search.pass_over_the_rest()
    except TopologyWrong:
        raise
    except EpochOver as over:
        raise BrokerUnavailable(str(over)) from over
