"""How old a command may be: one from before anything we remember could be a repeat, and nobody would know."""

from collections.abc import Callable
from datetime import UTC, datetime


class AgeLimit:
    """Compares a message's `timestamp`, its sender's clock, with ours."""

    def __init__(self, *, retention_s: float, clock: Callable[[], datetime]) -> None:
        self._retention_s = retention_s
        self._clock = clock

    def objection(self, timestamp: datetime | None) -> str | None:
        """Return why the command is too old, in a sentence for the sender; None where it is not, or says nothing.

        A time in the future is as none. A time without a zone is UTC. Never raises.
        """
        if timestamp is None:
            return None
        sent_at = timestamp if timestamp.utcoffset() is not None else timestamp.replace(tzinfo=UTC)
        if (self._clock() - sent_at).total_seconds() <= self._retention_s:
            return None
        return (
            f"The timestamp is more than {self._retention_s:.0f} seconds old: whether this command was carried "
            "out before is not known any more. It is not carried out now."
        )
