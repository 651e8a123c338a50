"""When a channel that refuses is to be doubted."""

import time
from collections.abc import Callable
from typing import Final

FIRST_S: Final = 3.0
LONGEST_S: Final = 600.0

_CALM: Final = 4  # times the pause without a refusal, and the next one is news


class Doubt:
    """Says when to try another channel: at the first refusal, and while they go on, ever more seldom.

    A queue that is full refuses on every channel, maybe for days.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._was_refused = False
        self._tried_at_s = float("-inf")
        self._pause_s = FIRST_S

    def refused(self) -> None:
        """The broker has refused something."""
        self._was_refused = True

    def is_due(self) -> bool:
        """Whether to try another channel now; then it is taken for tried."""
        now_s = self._clock()
        past_s = now_s - self._tried_at_s
        if not self._was_refused or past_s < self._pause_s:
            return False
        is_news = past_s > _CALM * self._pause_s
        self._pause_s = FIRST_S if is_news else min(2 * self._pause_s, LONGEST_S)
        self._tried_at_s, self._was_refused = now_s, False
        return True
