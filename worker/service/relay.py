"""Publishes events that no redelivery will bring: the command was purged, or the broker refused the event."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.service.batch import Batches
from worker.service.messages import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPolicy:
    """When to look. `grace_s` is longer than a batch takes to be confirmed, so that events which are on their
    way are left alone; `limit` bounds one sweep.
    """

    interval_s: float = 10.0
    grace_s: float = 30.0
    limit: int = 256


class Relay:
    """Sweeps at the start of an epoch whatever is unpublished, and later what stayed so beyond the grace.

    It looks for `published_at` being null, never for "later than the last one seen": transactions do not commit
    in the order in which they took their numbers.
    """

    def __init__(self, *, batches: Batches, policy: RelayPolicy, clock: Callable[[], datetime]) -> None:
        self._batches = batches
        self._policy = policy
        self._clock = clock
        self._next: datetime | None = None

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self._next is None or self._clock() >= self._next

    async def sweep(self) -> Said:
        """Return what has to be published; the same pipeline says it, so a device's order holds."""
        now = self._clock()
        before = now if self._next is None else now - timedelta(seconds=self._policy.grace_s)
        said = await self._batches.sweep(before=before, limit=self._policy.limit)
        full = len(said.events) >= self._policy.limit
        # A full sweep has more behind it. What it took is marked by the next one, which then sees further.
        self._next = now if full else now + timedelta(seconds=self._policy.interval_s)
        return said
