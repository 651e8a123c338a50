"""When a channel that refuses is to be doubted, and how long one that says nothing is waited for."""

import time
from collections.abc import Callable
from typing import Final

PAUSE_S: Final = 1.0  # shorter than between two tries of a refused reply

IMPATIENT_S: Final = 60.0
SHORT_SHARE: Final = 0.3
SHORTEST_S: Final = 1.0  # what a sound broker may take on a bad day


class Doubt:
    """Says when to try another channel: at the first refusal, and while they go on every `PAUSE_S`.

    Another one is ten milliseconds' work. A queue that is full refuses on every channel, maybe for days; one that
    has changed its leader, only on those that asked too early.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._was_refused = False
        self._tried_at_s = float("-inf")

    def refused(self) -> None:
        """The broker has refused something."""
        self._was_refused = True

    def is_due(self) -> bool:
        """Whether to try another channel now; then it is taken for tried."""
        now_s = self._clock()
        if not self._was_refused or now_s - self._tried_at_s < PAUSE_S:
            return False
        self._tried_at_s, self._was_refused = now_s, False
        return True


class Patience:
    """How long to wait for a confirm: not so long again where some just now never came, so that a queue that says
    nothing does not hold everybody up each time.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.short_s = min(timeout_s, max(SHORTEST_S, SHORT_SHARE * timeout_s))
        self._timeout_s = timeout_s
        self._clock = clock
        self._impatient_until_s = float("-inf")

    @property
    def timeout_s(self) -> float:
        """How long to wait now."""
        return self.short_s if self._clock() < self._impatient_until_s else self._timeout_s

    def lose(self) -> None:
        """A confirm never came from a broker that lives."""
        self._impatient_until_s = self._clock() + IMPATIENT_S
