"""Waiting for something to be seen, with a deadline."""

import time
from collections.abc import Callable

_PAUSE_S = 0.02


def seen(look: Callable[[], bool], *, within_s: float) -> bool:
    """Look again and again until `look` says yes or `within_s` seconds are over; tell which."""
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE_S)
    return True
