"""How fast a sender may ask: one that floods gets a problem, and the others do not notice."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

SENDERS_MAX: Final = 10_000  # about 2 MB

_NS: Final = 1_000_000_000
_NS_PER_MS: Final = 1_000_000
_TOKEN_NS_MAX: Final = 10**18  # thirty years: in practice never, and still a number


class SenderRates:
    """A token bucket a sender, in whole nanoseconds: `burst` commands at once, and `per_second` in the long run.

    A bucket is the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371): one number,
    and nothing to do while nobody asks. Senders without a name are one. At most `senders_max` are remembered,
    those that asked last; one that is forgotten begins with a full bucket. Every call takes the same time.
    """

    def __init__(
        self, *, per_second: float, burst: int, clock_ns: Callable[[], int], senders_max: int = SENDERS_MAX
    ) -> None:
        """`per_second` is above 0, `burst` at least 1; `clock_ns` is monotonic."""
        self._token_ns = max(1, round(min(_NS / per_second, _TOKEN_NS_MAX)))
        self._burst_ns = self._token_ns * burst
        self._clock_ns = clock_ns
        self._senders_max = senders_max
        self._full_at_ns: OrderedDict[str, int] = OrderedDict()

    def wait_s(self, sender: str) -> float | None:
        """Take a token and return None; where there is none, return for how many seconds there will be none, in
        milliseconds, rounded up.
        """
        now_ns = self._clock_ns()
        full_at_ns = max(now_ns, self._full_at_ns.get(sender, now_ns)) + self._token_ns
        missing_ns = full_at_ns - now_ns - self._burst_ns
        if missing_ns > 0:
            self._full_at_ns.move_to_end(sender)
            return -(-missing_ns // _NS_PER_MS) / 1000
        self._full_at_ns[sender] = full_at_ns
        self._full_at_ns.move_to_end(sender)
        if len(self._full_at_ns) > self._senders_max:
            self._full_at_ns.popitem(last=False)
        return None

    def __len__(self) -> int:
        """How many senders are remembered."""
        return len(self._full_at_ns)
