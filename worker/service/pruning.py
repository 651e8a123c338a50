"""Forgets what nobody can ask for any more, a little at a time, between batches."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from worker.service.persisting import Persistence
from worker.service.ports import Transaction
from worker.service.stored import Horizon

log = logging.getLogger(__name__)

STEP_PAUSES: Final = 9  # of a step's own time, until the next one: nine tenths of the time are the batches'


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is kept. `handled_s` is longer than any way in which a command can come back: the age at which
    one is refused as expired, and what the clocks may be apart. Events are kept for ever where `events_s` is None.
    """

    handled_s: float
    events_s: float | None = None
    interval_s: float = 600.0
    limit: int = 200


class Pruner:
    """Prunes in steps of `limit` rows, each in a transaction of its own. Belongs to the task that carries out
    batches.

    It prunes nothing in the first interval of an epoch, nor after an outage of the database: what was delivered
    before is redelivered first, and may be older than the retention where everything was away for so long.
    """

    def __init__(
        self,
        *,
        persistence: Persistence,
        retention: Retention,
        clock: Callable[[], datetime],
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._persistence = persistence
        self._retention = retention
        self._clock = clock
        self._elapsed_s = elapsed_s
        self._outages = persistence.outages
        self._next_at_s = elapsed_s() + retention.interval_s

    @property
    def due(self) -> bool:
        """Whether it is time for a step."""
        if self._outages != self._persistence.outages:
            self._outages = self._persistence.outages
            self._next_at_s = self._elapsed_s() + self._retention.interval_s
        return self._elapsed_s() >= self._next_at_s

    async def step(self) -> None:
        """Forget a little. Raises EpochOver."""
        horizon, began_s = self._horizon(), self._elapsed_s()

        async def prune(transaction: Transaction) -> int:
            return await transaction.prune(horizon)

        gone = await self._persistence.persist(prune)
        if gone:
            log.info("history.pruned", extra={"rows": gone})
        ended_s = self._elapsed_s()
        is_done = gone < self._retention.limit
        pause_s = self._retention.interval_s if is_done else STEP_PAUSES * (ended_s - began_s)
        self._next_at_s = ended_s + pause_s

    def _horizon(self) -> Horizon:
        now, events_s = self._clock(), self._retention.events_s
        return Horizon(
            handled_before=now - timedelta(seconds=self._retention.handled_s),
            events_before=None if events_s is None else now - timedelta(seconds=events_s),
            limit=self._retention.limit,
        )
