"""How long to wait before trying again, for ever."""

import random
from collections.abc import Iterator


def pauses(*, first_s: float, longest_s: float) -> Iterator[float]:
    """Yield growing pauses in seconds, without end, each drawn between half and the whole of its step.

    The jitter keeps a hundred workers that lost one broker from coming back in one instant.
    """
    step_s = first_s
    while True:
        yield step_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        step_s = min(step_s * 2, longest_s)
