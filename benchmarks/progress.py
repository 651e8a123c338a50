"""What the terminal shows while it takes long: what runs, which trial of how many, and how long still."""

import sys
import time
from typing import Final

_MINUTE_S: Final = 60


class Progress:
    """Counts trials. On a terminal one line is written over and over; else each is a line of its own."""

    def __init__(self, *, seconds: float) -> None:
        """Begin; the whole is expected to take so long, at first by the plan and then by what was seen."""
        self._expected_s = seconds
        self._planned_s = 0.0
        self._began_s = time.monotonic()

    def begins(self, what: str, *, seconds: float) -> None:
        """Say that something begins that was planned to take so long."""
        took_s = time.monotonic() - self._began_s
        pace = took_s / self._planned_s if self._planned_s else 1.0
        left_s = max(0.0, self._expected_s - self._planned_s) * pace
        self._planned_s += seconds
        self._show(f"{_clock(took_s)}  about {_clock(left_s)} left  {what}")

    def ends(self) -> None:
        """Leave the line."""
        self._show(f"{_clock(time.monotonic() - self._began_s)}  done")
        if sys.stderr.isatty():
            sys.stderr.write("\n")

    def _show(self, line: str) -> None:
        sys.stderr.write(f"\r\x1b[2K{line}" if sys.stderr.isatty() else f"{line}\n")
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    return f"{minutes}:{rest:02}"
