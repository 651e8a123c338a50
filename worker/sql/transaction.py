"""What can be done in one transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.messages import StoredEvent
from worker.service.stored import Changes, Claim, Horizon, Loaded, Parking, Wanted
from worker.sql import claims, refusals
from worker.sql.errors import Phase, translated
from worker.sql.idiom import Idiom
from worker.sql.load import load
from worker.sql.retention import prune
from worker.sql.workers import sign_in


class SqlTransaction:
    """One transaction on one connection; see `worker.service.ports.Transaction`.

    Each of its methods raises StoreUnavailable or StoreConflict.
    """

    def __init__(self, connection: AsyncConnection, *, idiom: Idiom) -> None:
        self._connection = connection
        self._idiom = idiom
        self._failure: Exception | None = None

    async def load(self, wanted: Wanted) -> Loaded:
        """Lock the devices that are meant, then read."""
        with self._statements():
            return await load(self._connection, wanted, insert=self._idiom.insert)

    async def save(self, changes: Changes) -> None:
        """Write everything that changed."""
        with self._statements():
            await self._idiom.save(self._connection, changes)

    async def claim(self, claim: Claim) -> Sequence[StoredEvent]:
        """Take devices over, and return their events that were never confirmed."""
        with self._statements():
            return await claims.claim(self._connection, claim, insert=self._idiom.insert)

    async def refused(self, refused: Mapping[str, int], parking: Parking) -> Sequence[str]:
        """Count refused events, and return the devices that are parked by that."""
        with self._statements():
            return await refusals.refused(self._connection, refused, parking, insert=self._idiom.insert)

    async def prune(self, horizon: Horizon) -> int:
        """Forget a little, and return how much."""
        with self._statements():
            return await prune(self._connection, horizon)

    async def sign_in(self, worker: str, at: datetime) -> None:
        """Write who is at work."""
        with self._statements():
            await sign_in(self._connection, worker, at, insert=self._idiom.insert)

    def check(self) -> None:
        """Raise the error of a statement that failed, if the work kept it to itself.

        PostgreSQL answers COMMIT after a failed statement by rolling back, and calls that a success.
        """
        if self._failure:
            raise self._failure

    @contextmanager
    def _statements(self) -> Iterator[None]:
        try:
            with translated(Phase.WORK):
                yield
        except Exception as error:
            self._failure = error
            raise
