"""Where everybody outside of the worker writes down what happens to them, while it happens."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from tests.faults.history import Answer, Event, Fate, History, Letter, Request


def now_s() -> float:
    """Return the time of all histories, in seconds."""
    return time.monotonic()


class Journal:
    """A history that is not over. For the tasks of one event loop."""

    def __init__(self) -> None:
        self._requests: dict[str, Request] = {}
        self._fates: defaultdict[str, set[Fate]] = defaultdict(set)
        self._answers: list[Answer] = []
        self._answered: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._events: list[Event] = []

    @property
    def requests(self) -> int:
        """How many there were so far."""
        return len(self._requests)

    @property
    def answers(self) -> int:
        """How many answers there were so far, of repeats too."""
        return len(self._answers)

    @property
    def events(self) -> int:
        """How many events there were so far, each time that they came."""
        return len(self._events)

    def add_request(self, request: Request) -> None:
        """Note a request before its first try. Its correlation id must be new."""
        assert request.correlation_id not in self._requests, request
        self._requests[request.correlation_id] = request

    def add_try(self, correlation_id: str, fate: Fate) -> None:
        """Note how one try to publish it ended. Confirmed once is confirmed; else unknown once is unknown."""
        self._fates[correlation_id].add(fate)

    def add_answer(self, answer: Answer) -> None:
        self._answers.append(answer)
        self._answered[answer.correlation_id or ""].set()

    def add_event(self, event: Event) -> None:
        self._events.append(event)

    async def until_answered(self, correlation_id: str, *, within_s: float) -> bool:
        """Wait for a first answer; whether there is one by then."""
        try:
            async with asyncio.timeout(within_s):
                await self._answered[correlation_id].wait()
        except TimeoutError:
            return False
        return True

    def unanswered(self, asker: str) -> list[Request]:
        """Return what one asked, for an answer, and has none to."""
        return [
            request
            for request in self._requests.values()
            if request.asker == asker
            and request.reply_to is not None
            and not self._answered[request.correlation_id].is_set()
        ]

    def history(
        self, *, letters: Iterable[Letter] = (), gone: Iterable[str] = (), unheard: Iterable[str] = ()
    ) -> History:
        """Return what happened so far."""
        return History(
            requests=tuple(replace(r, fate=self._fate(r.correlation_id)) for r in self._requests.values()),
            answers=tuple(self._answers),
            events=tuple(self._events),
            letters=tuple(letters),
            gone=frozenset(gone),
            unheard=frozenset(unheard),
        )

    def _fate(self, correlation_id: str) -> Fate:
        """What was never tried has not arrived."""
        for fate in (Fate.CONFIRMED, Fate.UNKNOWN):
            if fate in self._fates[correlation_id]:
                return fate
        return Fate.REFUSED
