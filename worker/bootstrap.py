"""The composition root: the one file that knows all the others. It wires; it decides nothing."""

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, TypeVar

import uvloop
from uuid_utils.compat import uuid7

from migrations import runner
from worker.amqp import guard, session
from worker.amqp.codec.decode import Decoder
from worker.amqp.codec.render import WireRenderer
from worker.amqp.codec.reply_address import ReplyAddresses
from worker.amqp.options import BrokerOptions
from worker.amqp.topology import Topology, TopologyWrong, topology
from worker.config import Settings
from worker.domain.code import CODE_BITS, code_from_bits
from worker.ops.health import HealthServer, PortTaken
from worker.ops.logs import configure_logs
from worker.runtime import Established, Lifecycle, run_until_stopped
from worker.service.batch import Batches, Patience
from worker.service.handlers import Mint
from worker.service.outstanding import Outstanding
from worker.service.ports import EpochOver, StoreUnavailable
from worker.service.process import Flow, Pipeline
from worker.service.relay import Relay, RelayPolicy
from worker.service.say import Speaker
from worker.sql.engine import StoreOptions, make_store
from worker.sql.store import SqlStore

T = TypeVar("T")

log = logging.getLogger(__name__)

EXIT_OK: Final = 0
EXIT_DEFECT: Final = os.EX_SOFTWARE
EXIT_CONFIG: Final = os.EX_CONFIG


class BrokerUnavailable(Exception):
    """The broker cannot be reached or refuses us. The text is one line, without secrets."""


class NotMigrated(EpochOver):
    """The database is not at the schema that this worker was written for. The text says what to do."""


def run(settings: Settings) -> int:
    """Run the worker until a signal stops it; return the exit code of the process."""
    configure_logs(settings.log_level, settings.log_format)
    guard.install()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(_run(settings))
    except (TopologyWrong, NotMigrated, PortTaken) as refused:
        log.critical("worker.refused_to_start", extra={"reason": str(refused)})
        return EXIT_CONFIG
    except Exception:
        log.critical("worker.died", exc_info=True)
        return EXIT_DEFECT
    log.info("worker.stopped")
    return EXIT_OK


async def check_topology(settings: Settings) -> list[str]:
    """Return what is missing on the broker. Raises BrokerUnavailable."""
    return await _errand(session.missing_topology, settings)


async def apply_topology(settings: Settings) -> None:
    """Make what is missing on the broker. Raises BrokerUnavailable."""
    await _errand(session.apply_topology, settings)


async def _errand(errand: Callable[[BrokerOptions, Topology], Awaitable[T]], settings: Settings) -> T:
    try:
        return await errand(_broker_options(settings), topology(settings.namespace))
    except EpochOver as over:
        raise BrokerUnavailable(str(over)) from over


async def _run(settings: Settings) -> None:
    """Start what observes, run epochs until a signal comes, and close in the opposite order."""
    store = make_store(settings.database_url.get_secret_value(), options=_store_options(settings))
    epochs = _Epochs(settings, store)
    health = HealthServer(host=settings.http_host, port=settings.http_port, checks=epochs.checks)
    try:
        if settings.http_port:
            await health.start()
        log.info(
            "worker.starting",
            extra={
                "broker": settings.amqp_shown,
                "database": settings.database_shown,
                "worker": settings.worker_name,
            },
        )
        await run_until_stopped(
            epochs.run, epochs.stopping, _lifecycle(settings), fatal_at_start=(TopologyWrong, NotMigrated)
        )
    finally:
        await health.stop()
        await store.close()


class _Epochs:
    """Builds each epoch from nothing, and knows the current one for the readiness checks."""

    def __init__(self, settings: Settings, store: SqlStore) -> None:
        self._settings = settings
        self._store = store
        self._sessions = _sessions(settings)
        self._current: session.Session | None = None
        self.stopping = asyncio.Event()
        self.checks: dict[str, Callable[[], Awaitable[str | None]]] = {
            "consuming": self._check_consuming,
            "database": self._check_database,
            "draining": self._check_draining,
        }

    async def run(self, established: Established) -> None:
        await _prepare_database(self._settings)
        async with self._sessions.open() as current:
            self._current = current
            established()
            try:
                await _pipeline(self._settings, self._store, current).run(self.stopping)
            finally:
                self._current = None

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

    async def _check_draining(self) -> str | None:
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
    except runner.DatabaseUnavailable as away:
        raise EpochOver(f"the database is not there yet: {away}") from away


def _pipeline(settings: Settings, store: SqlStore, current: session.Session) -> Pipeline:
    outstanding = Outstanding()
    batches = Batches(
        store=store, renderer=WireRenderer(), mint=_mint, outstanding=outstanding, patience=Patience()
    )
    policy = RelayPolicy(
        interval_s=settings.relay_interval_s, grace_s=settings.relay_grace_s, limit=settings.relay_batch_max
    )
    return Pipeline(
        inbox=current.consumer,
        batches=batches,
        relay=Relay(batches=batches, policy=policy, clock=_now),
        speaker=Speaker(
            publisher=current.publisher, outstanding=outstanding, event_retries=settings.event_retries
        ),
        settlement=current.settlement,
        flow=Flow(batch_max=settings.batch_max),
    )


def _sessions(settings: Settings) -> session.Sessions:
    pattern = settings.reply_to_pattern
    addresses = ReplyAddresses(namespace=settings.namespace, also=pattern.pattern if pattern else None)
    return session.Sessions(
        options=_broker_options(settings),
        topology=topology(settings.namespace),
        declares=settings.topology == "declare",
        decoder=Decoder(addresses=addresses),
        clock=_now,
    )


def _broker_options(settings: Settings) -> BrokerOptions:
    return BrokerOptions(
        url=settings.amqp_url.get_secret_value(),
        worker_name=settings.worker_name,
        heartbeat_s=settings.heartbeat_s,
        connect_timeout_s=settings.connect_timeout_s,
        confirm_timeout_s=settings.confirm_timeout_s,
        settle_timeout_s=settings.settle_timeout_s,
        prefetch=settings.prefetch,
    )


def _store_options(settings: Settings) -> StoreOptions:
    return StoreOptions(
        application_name=settings.worker_name,
        busy_timeout_s=settings.sqlite_busy_timeout_s,
        lock_timeout_s=settings.database_lock_timeout_s,
        statement_timeout_s=settings.database_timeout_s,
    )


def _lifecycle(settings: Settings) -> Lifecycle:
    return Lifecycle(
        drain_timeout_s=settings.drain_timeout_s,
        reconnect_min_s=settings.reconnect_min_s,
        reconnect_max_s=settings.reconnect_max_s,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _mint() -> Mint:
    return Mint(now=_now(), new_id=uuid7, new_code=lambda: code_from_bits(secrets.randbits(CODE_BITS)))
