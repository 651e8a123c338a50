"""A worker that is asked to stop, whatever is the matter: it goes in time, and another takes over."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from random import Random
from typing import Any, Final

from devtools.broker import PrivateBroker
from tests.faults import harms_of_postgresql, harms_of_sqlite
from tests.faults.failpoints import Action, Point
from tests.faults.journal import now_s
from tests.faults.trial import COMMANDS, Fault
from tests.faults.world import Act, Database, World
from tests.support.wire import eventually
from tests.support.worker_process import WorkerProcess, settings_of

GROUP: Final = "worker"

DRAIN_S: Final = 5.0
DRAIN_WELL_S: Final = 20.0  # where it has to finish all that it has in hand
LEAVE_S: Final = 10.0  # for a process to end and for us to see it, on a machine that has much to do
RANDOM_STOPS: Final = 8
BETWEEN_STOPS_S: Final = (0.0, 1.5)
LONG_COMMANDS: Final = 1_200
IN_IT_S: Final = 1.0  # by then a worker is in the trouble that was made
UNHEARD_S: Final = 60.0
MIGRATION_LOCK: Final = 0x73747265616D73

_TOLD: Final = {"STREAMS_DRAIN_TIMEOUT_S": str(DRAIN_S)}
_TOLD_WELL: Final = {"STREAMS_DRAIN_TIMEOUT_S": str(DRAIN_WELL_S)}


async def stopped(worker: WorkerProcess, *, drain_s: float = DRAIN_S) -> None:
    """Ask it to stop. Raises AssertionError where it takes longer than it may, or says that it failed."""
    began_s = now_s()
    worker.signal(signal.SIGTERM)
    code = await worker.exit_code(within_s=drain_s + UNHEARD_S)
    took_s = now_s() - began_s
    assert code == 0, f"it ended with {code}"
    assert took_s < drain_s + LEAVE_S, f"it took {took_s:.1f} s to stop"


async def drained(worker: WorkerProcess) -> None:
    """Ask it to stop where nothing keeps it from its work. Raises AssertionError where it does not finish that.

    At the drain's deadline it leaves with 0 too: its code alone does not tell.
    """
    await stopped(worker, drain_s=DRAIN_WELL_S)
    assert '"drain.unfinished"' not in worker.log, "it left what it had in hand"


async def _idle(world: World) -> None:
    journal = world.crowd.journal

    async def look() -> bool:
        return journal.requests == COMMANDS and journal.answers >= journal.requests

    await eventually(look, within_s=UNHEARD_S)
    await drained(world.keeper.worker)


async def _mid_batch(world: World) -> None:
    await world.hit()
    await drained(world.keeper.worker)


async def _at_random(world: World) -> None:
    """Ask one worker after another, whatever it does, once it consumes."""
    rng = Random(world.seed)
    for _ in range(RANDOM_STOPS):
        keeper = rng.choice(world.keepers)
        await keeper.ready()
        await asyncio.sleep(rng.uniform(*BETWEEN_STOPS_S))
        await drained(keeper.worker)
    assert not world.crowd.has_heard_all, "the last ones had nothing to do"


async def _blocked(world: World) -> None:
    async with _alarm(world.servers.broker):
        await asyncio.sleep(IN_IT_S)
        await stopped(world.keeper.worker)


async def _broker_frozen(world: World) -> None:
    world.servers.broker.pause()
    try:
        await asyncio.sleep(IN_IT_S)
        await stopped(world.keeper.worker)
    finally:
        world.servers.broker.resume()


async def _database_locked(world: World) -> None:
    harms = harms_of_sqlite if world.setup.database is Database.SQLITE else harms_of_postgresql
    async with harms.locked(world):
        await asyncio.sleep(IN_IT_S)
        await stopped(world.keeper.worker)


async def _mid_reconnect(world: World) -> None:
    refused = world.amqp.refuse()
    try:
        world.amqp.cut()
        await eventually(lambda: _is_off(world.keeper.worker), within_s=UNHEARD_S)
        await stopped(world.keeper.worker)
    finally:
        refused.remove()


async def _mid_migration(world: World) -> None:
    """Stop one that migrates a database of its own; another can do it then."""
    async with _being_migrated(world) as url:
        broker_url, namespace = world.servers.broker.url, f"{world.namespace}-new"
        settings = settings_of(broker_url, namespace, url, **_TOLD)
        worker = WorkerProcess(settings)
        worker.start()
        try:
            await eventually(lambda: _is_migrating(worker), within_s=UNHEARD_S)
            await stopped(worker)
        finally:
            await worker.discard()
    world.mended()
    async with WorkerProcess(settings) as worker:
        assert worker.is_running


async def _is_off(worker: WorkerProcess) -> bool:
    return (await worker.readiness())[0] == 503


async def _is_migrating(worker: WorkerProcess) -> bool:
    return '"database.migrating"' in worker.log


@asynccontextmanager
async def _alarm(broker: PrivateBroker) -> AsyncIterator[None]:
    await asyncio.to_thread(broker.run_out_of_memory)
    try:
        yield
    finally:
        await asyncio.to_thread(broker.have_memory_again)


@asynccontextmanager
async def _being_migrated(world: World) -> AsyncIterator[str]:
    """Make a database, and hold what a migration of it waits for."""
    name = f"{world.namespace}new"
    if world.setup.database is Database.SQLITE:
        file = world.sqlite_file.with_name(f"{name}.db")
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield f"sqlite+aiosqlite:///{file}"
            connection.rollback()
        return
    await asyncio.to_thread(world.servers.postgres.create_database, name)
    async with harms_of_postgresql.session(world, database=name) as other, other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        yield world.servers.postgres.url(name)


def _fault(name: str, act: Act, settings: Mapping[str, str] = _TOLD, **more: Any) -> Fault:
    return Fault(group=GROUP, name=f"asked to stop, {name}", act=act, settings=settings, **more)


FAULTS: Final[Sequence[Fault]] = [
    _fault("idle", _idle, _TOLD_WELL),
    _fault(
        "in a batch",
        _mid_batch,
        _TOLD_WELL,
        failpoint=f"{Point.AFTER_COMMIT}:{Action.DELAY}:5",
        is_short=True,
    ),
    _fault("at random moments", _at_random, _TOLD_WELL, commands=LONG_COMMANDS),
    _fault("broker blocked", _blocked, harms_servers=True),
    _fault("broker frozen", _broker_frozen, harms_servers=True),
    _fault("database locked", _database_locked, is_short=True),
    _fault("connecting again", _mid_reconnect),
    _fault("migrating", _mid_migration),
]
