"""Publishes events that no redelivery will bring: the command was purged, or the broker refused the event."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

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
        self._began: datetime | None = None
        self._pause: tuple[datetime, datetime] | None = None
        self._has_caught_up = False
        self._claimed: Sequence[UUID] | None = None

    @property
    def due(self) -> bool:
        """Whether it is time to look. A clock that was set back before the last look makes it so too."""
        if self._pause is None:
            return True
        began, ends = self._pause
        return not began <= self._clock() < ends

    async def sweep(self) -> Said:
        """Return what has to be published; the same pipeline says it, so a device's order holds."""
        now = self._clock()
        self._began = self._began or now
        before = now - timedelta(seconds=self._policy.grace_s) if self._has_caught_up else self._began
        swept = await self._batches.sweep(before=before, limit=self._policy.limit)
        # What a sweep took is marked by a later one, which then sees further: there is no pause until the end is
        # in sight.
        if not swept.is_cut or self._is_stuck(swept.said):
            self._has_caught_up = True
            self._pause = now, now + timedelta(seconds=self._policy.interval_s)
        return swept.said

    def _is_stuck(self, said: Said) -> bool:
        """Whether a sweep got what the last one got: the broker refused all of it, and needs time."""
        last, now = self._claimed, [event.id for event in said.events]
        self._claimed = now or last  # nothing, where the last ones are still in hand
        return now == last
