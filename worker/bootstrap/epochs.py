"""Epochs: each is built from nothing; what is known of the current one is for the readiness checks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from migrations import runner
from worker.amqp.session import Session
from worker.bootstrap import parts
from worker.bootstrap.parts import Clock
from worker.bootstrap.pipelines import Around, Experience, Ports, as_they_are, pipeline
from worker.config import Settings
from worker.runtime import Established
from worker.service.ports import EpochOver, StoreUnavailable
from worker.sql.store import SqlStore

log = logging.getLogger(__name__)


class NotMigrated(EpochOver):
    """The database is not at the schema that this worker was written for. The text says what to do."""


class Epochs:
    """Runs epochs, one at a time, over one store."""

    def __init__(
        self,
        settings: Settings,
        store: SqlStore,
        around: Around = as_they_are,
        *,
        clock: Clock = parts.now,
    ) -> None:
        self._settings = settings
        self._store = store
        self._around = around
        self._clock = clock
        self._sessions = parts.sessions(settings, clock)
        self._experience = Experience()
        self._current: Session | None = None
        self._database_is_prepared = False
        self.stopping = asyncio.Event()
        self.checks: dict[str, Callable[[], Awaitable[str | None]]] = {
            "consuming": self._check_consuming,
            "database": self._check_database,
            "not_draining": self._check_not_draining,
        }

    async def run(self, established: Established) -> None:
        """Run one epoch to its end. Raises EpochOver, NotMigrated and TopologyWrong among them."""
        if not self._database_is_prepared:
            await _prepare_database(self._settings)
            self._database_is_prepared = True
        async with self._sessions.open() as session:
            self._current = session
            established()
            try:
                ports = self._around(self._ports(session))
                await pipeline(self._settings, ports, self._experience, self._clock).run(self.stopping)
            finally:
                self._current = None

    def _ports(self, session: Session) -> Ports:
        return Ports(
            store=self._store,
            inbox=session.consumer,
            publisher=session.publisher,
            settlement=session.settlement,
        )

    async def _check_consuming(self) -> str | None:
        if self._current is None:
            return "there is no connection to the broker"
        return None if self._current.consumer.is_consuming else "the broker has no consumer of ours"

    async def _check_database(self) -> str | None:
        try:
            await self._store.ping()
        except StoreUnavailable as away:
            return str(away)
        return None

    async def _check_not_draining(self) -> str | None:
        return "stopping: nothing more is taken" if self.stopping.is_set() else None


async def _prepare_database(settings: Settings) -> None:
    """Migrate where the settings say so; else see that somebody did. Raises NotMigrated, EpochOver."""
    url = settings.database_url.get_secret_value()
    try:
        if await asyncio.to_thread(runner.is_current, url):
            return
        if not settings.migrate_at_start:
            raise NotMigrated(
                f"The database {settings.database_shown} is not migrated. Run `stream-worker db upgrade` with the "
                "same STREAMS_DATABASE_URL, or set STREAMS_DATABASE_MIGRATE=true."
            )
        log.info("database.migrating", extra={"database": settings.database_shown})
        await asyncio.to_thread(runner.upgrade, url)
    except runner.UnknownRevision as unknown:
        raise NotMigrated(str(unknown)) from unknown
    except runner.DatabaseUnavailable as away:
        raise EpochOver(f"the database is not there yet: {away}") from away
