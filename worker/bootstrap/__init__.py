"""The composition root: the one place that knows all the others. It wires; it decides nothing."""

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, TypeVar

import uvloop

from worker.amqp import guard, session, tls
from worker.amqp.options import BrokerOptions
from worker.amqp.topology import Topology, TopologyWrong
from worker.bootstrap import parts
from worker.bootstrap.epochs import Epochs, NotMigrated
from worker.bootstrap.parts import Clock
from worker.bootstrap.pipelines import Around, as_they_are
from worker.config import Settings
from worker.ops.health import HealthServer, PortTaken
from worker.ops.logs import configure_logs
from worker.runtime import run_until_stopped
from worker.service.ports import EpochOver
from worker.sql.engine import make_store

T = TypeVar("T")

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S: Final = 5.0

# How many new objects let Python look for cycles. Its own 700 are those of a few commands, so that a batch is gone
# through again and again, and none of them is in a cycle.
_OBJECTS_BETWEEN_LOOKS: Final = 5_000

EXIT_OK: Final = 0
EXIT_DEFECT: Final = os.EX_SOFTWARE
EXIT_CONFIG: Final = os.EX_CONFIG


class BrokerUnavailable(Exception):
    """The broker cannot be reached or refuses us. The text is one line, without secrets."""


def run(settings: Settings, around: Around = as_they_are, *, clock: Clock = parts.now) -> int:
    """Run the worker until a signal stops it; return the exit code of the process. `clock` tells it the time."""
    configure_logs(settings.log_level, settings.log_format)
    guard.install()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    try:
        tls.client_context(settings.amqp_url.get_secret_value())  # what cannot be read now was never right
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(_run(settings, around, clock))
    except (TopologyWrong, NotMigrated, PortTaken, tls.TlsWrong) as refused:
        log.critical("worker.refused_to_start", extra={"reason": str(refused)})
        return EXIT_CONFIG
    except Exception:
        log.critical("worker.died", exc_info=True)
        return EXIT_DEFECT
    log.info("worker.stopped")
    return EXIT_OK


async def check_topology(settings: Settings) -> list[str]:
    """Return what is missing on the broker. Raises BrokerUnavailable, TopologyWrong."""
    return await _errand(session.missing_topology, settings)


async def apply_topology(settings: Settings) -> list[str]:
    """Make what is missing on the broker; return the partitions that are still there although there are to be
    fewer. Raises BrokerUnavailable, TopologyWrong.
    """
    return await _errand(session.apply_topology, settings)


async def _errand(errand: Callable[[BrokerOptions, Topology], Awaitable[T]], settings: Settings) -> T:
    try:
        return await errand(parts.broker_options(settings), parts.wanted_topology(settings))
    except TopologyWrong:
        raise
    except EpochOver as over:
        raise BrokerUnavailable(str(over)) from over


async def _run(settings: Settings, around: Around, clock: Clock) -> None:
    """Start what observes, run epochs until a signal comes, and close in the opposite order."""
    store = make_store(settings.database_url.get_secret_value(), options=parts.store_options(settings))
    epochs = Epochs(settings, store, around, clock=clock)
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
        drained = await run_until_stopped(
            epochs.run, epochs.stopping, parts.lifecycle(settings), fatal_at_start=(TopologyWrong, NotMigrated)
        )
        if not drained:
            _leave_at_once()
    finally:
        await _close(health.stop(), store.close())


def _leave_at_once() -> NoReturn:
    """End as a killed process does, which loses nothing: whatever would be waited for now (a thread in the
    database's driver, a broker that says nothing) has no deadline of ours, and the time is up.
    """
    logging.shutdown()
    os._exit(EXIT_OK)


async def _close(*closing: Awaitable[None]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await asyncio.gather(*closing)
