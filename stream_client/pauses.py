"""How long to wait before trying again: as the contract asks of everybody (*Time-outs, and asking again*)."""

import random
from collections.abc import Iterator
from typing import Final

from schemas import Problem, StreamReply

FIRST_S: Final = 0.2
LONGEST_S: Final = 10.0


def growing_pauses() -> Iterator[float]:
    """Yield pauses for ever, each about twice the last, with jitter: many clients must not come back at once."""
    pause_s = FIRST_S
    while True:
        yield random.uniform(pause_s / 2, pause_s)  # noqa: S311 - jitter is no secret
        pause_s = min(pause_s * 2, LONGEST_S)


def told_to_wait_s(answer: StreamReply | Problem) -> float | None:
    """Return for how long the worker wants to hear nothing of it; None where asking again cannot help.

    Not by its code: one that came later says in the same way whether it can.
    """
    if not isinstance(answer, Problem) or not answer.retryable:
        return None
    return LONGEST_S if answer.retry_after_s is None else answer.retry_after_s
