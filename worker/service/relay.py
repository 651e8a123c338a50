"""Publishes events that no redelivery will bring: the command was purged, or the broker refused the event."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from worker.service.messages import Said
from worker.service.outbox import Outbox, Swept
from worker.service.stored import Claim

CLAIM_INTERVALS: Final = 3  # a worker that misses as many looks is gone, and its devices are free
CLAIM_S_MIN: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPolicy:
    """When to look. `grace_s` is longer than a batch takes to be confirmed, so that events which are on their
    way are left alone; `limit` bounds one sweep. `worker` is whose the devices are that it takes over.
    """

    worker: str
    interval_s: float = 10.0
    grace_s: float = 30.0
    limit: int = 256

    @property
    def claim_s(self) -> float:
        """How long a device is the worker's."""
        return max(CLAIM_S_MIN, CLAIM_INTERVALS * self.interval_s)


class Relay:
    """Sweeps at the start of an epoch whatever is unpublished, and later what stayed so beyond the grace.

    Each device has one worker whose relay publishes for it, so that several do not do the work of one. A device's
    order does not lean on that: whoever publishes for it begins with its lowest.

    It looks for `published_at` being null, never for "later than the last one seen": transactions do not commit
    in the order in which they took their numbers.
    """

    def __init__(self, *, outbox: Outbox, policy: RelayPolicy, clock: Callable[[], datetime]) -> None:
        self._outbox = outbox
        self._policy = policy
        self._clock = clock
        self._began: datetime | None = None
        self._pause: tuple[datetime, datetime] | None = None
        self._has_caught_up = False
        self._round = _Round()
        self._last_round = _Round()

    @property
    def due(self) -> bool:
        """Whether it is time to look. A clock that was set back before the last look makes it so too."""
        if self._pause is None:
            return True
        began, ends = self._pause
        return not began <= self._clock() < ends

    async def sweep(self) -> Said:
        """Return what has to be published; the same pipeline says it, so a device's order holds.

        Sweeps go round over the devices: one whose events the broker keeps refusing, however many they are, must
        not keep those behind it from their turn.
        """
        now = self._clock()
        self._began = self._began or now
        before = now - timedelta(seconds=self._policy.grace_s) if self._has_caught_up else self._began
        swept = await self._outbox.sweep(self._claim(now, before))
        self._round = self._round.went_on(swept)
        if not swept.cut_at:
            self._end_round(now)
        return swept.said

    def _claim(self, now: datetime, before: datetime) -> Claim:
        return Claim(
            worker=self._policy.worker,
            now=now,
            until=now + timedelta(seconds=self._policy.claim_s),
            before=before,
            limit=self._policy.limit,
            after=self._round.after,
        )

    def _end_round(self, now: datetime) -> None:
        """Pause, unless there may be more behind what this round took, and it took something else than the last:
        what it took again, the broker refuses, and needs time.
        """
        if not self._round.was_cut or self._round.claims == self._last_round.claims:
            self._has_caught_up = True
            self._pause = now, now + timedelta(seconds=self._policy.interval_s)
        if self._round.claims:  # else all of it is still in hand, and its end not known yet
            self._last_round = self._round
        self._round = _Round()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """How far a round has come. `claims` stands for all that it claimed: the same again is the same number."""

    after: str = ""
    was_cut: bool = False
    claims: int = 0

    def went_on(self, swept: Swept) -> "_Round":
        ids = tuple(event.id for event in swept.said.events)
        return _Round(
            after=swept.cut_at,
            was_cut=self.was_cut or swept.has_more,
            claims=hash((self.claims, ids)) if ids else self.claims,
        )
