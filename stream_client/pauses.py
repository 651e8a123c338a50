"""How long to wait before trying again."""

import random
from collections.abc import Iterator


def growing_pauses(*, first_s: float = 0.1, longest_s: float = 5.0) -> Iterator[float]:
    """Yield pauses for ever, each about twice the last, with jitter: many clients must not come back at once."""
    pause_s = first_s
    while True:
        yield random.uniform(pause_s / 2, pause_s)  # noqa: S311 - jitter is no secret
        pause_s = min(pause_s * 2, longest_s)
