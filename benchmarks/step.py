"""One thing that a run does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`what` can be chosen by a part of its text; it takes about `seconds`."""

    what: str
    seconds: float
    run: Callable[[], Awaitable[None]]
