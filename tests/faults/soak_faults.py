"""What may happen at any moment of a soak, each for some seconds.

The first worker is never ended: it is the one that is to have, at the end, no more than it had in the beginning.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults import harms_of_postgresql as postgresql
from tests.faults import harms_of_sqlite as sqlite
from tests.faults.outage import Harm
from tests.faults.world import Database, Setup, World
from tests.support.line_faults import Fault as LineFault
from tests.support.proxy_lines import Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakFault:
    """A harm, and for how many seconds it lasts, between these two."""

    name: str
    harm: Harm
    lasts_s: tuple[float, float] = (0.5, 4.0)

    async def happen(self, world: World, rng: Random) -> None:
        """Come and go."""
        async with self.harm(world):
            await asyncio.sleep(rng.uniform(*self.lasts_s))


def faults_for(setup: Setup) -> Sequence[SoakFault]:
    """Return what can happen with a setup."""
    of_database = _OF_SQLITE if setup.database is Database.SQLITE else _OF_POSTGRESQL
    return [*_OF_EVERYBODY, *of_database, *(_OF_SEVERAL if setup.workers > 1 else [])]


def _ended(number: signal.Signals) -> Harm:
    @asynccontextmanager
    async def harmed(world: World) -> AsyncIterator[None]:
        turn = world.crowd.journal.answers % (len(world.keepers) - 1)
        world.keepers[1 + turn].worker.signal(number)
        yield

    return harmed


@asynccontextmanager
async def _worker_frozen(world: World) -> AsyncIterator[None]:
    worker = world.keepers[-1].worker
    worker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        worker.signal(signal.SIGCONT)


def _broker(harm: Callable[[PrivateBroker], object], mend: Callable[[PrivateBroker], object]) -> Harm:
    @asynccontextmanager
    async def harmed(world: World) -> AsyncIterator[None]:
        await asyncio.to_thread(harm, world.servers.broker)
        try:
            yield
        finally:
            await asyncio.to_thread(mend, world.servers.broker)

    return harmed


def _lines(choose: Callable[[World], Lines], begin: Callable[[Lines], LineFault | None]) -> Harm:
    @asynccontextmanager
    async def harmed(world: World) -> AsyncIterator[None]:
        fault = begin(choose(world))
        try:
            yield
        finally:
            if fault is not None:
                fault.remove()

    return harmed


def _to_broker(world: World) -> Lines:
    return world.amqp


def _to_database(world: World) -> Lines:
    assert world.sql is not None
    return world.sql


def _nothing(_: PrivateBroker) -> None:
    """It mends itself."""


_OF_EVERYBODY: Final = [
    SoakFault(name="a worker frozen", harm=_worker_frozen, lasts_s=(1, 6)),
    SoakFault(name="the broker killed", harm=_broker(PrivateBroker.kill, PrivateBroker.start)),
    SoakFault(name="the broker frozen", harm=_broker(PrivateBroker.pause, PrivateBroker.resume), lasts_s=(1, 6)),
    SoakFault(
        name="the broker out of memory",
        harm=_broker(PrivateBroker.run_out_of_memory, PrivateBroker.have_memory_again),
    ),
    SoakFault(
        name="all connections closed by the broker",
        harm=_broker(lambda broker: broker.ctl("close_all_connections", "soak"), _nothing),
    ),
    SoakFault(name="the broker's lines slow", harm=_lines(_to_broker, lambda lines: lines.delay(0.2))),
    SoakFault(name="the broker's lines in slices", harm=_lines(_to_broker, lambda lines: lines.slice(1))),
    SoakFault(name="the broker's lines reset", harm=_lines(_to_broker, lambda lines: lines.cut())),
    SoakFault(
        name="the broker's lines silent", harm=_lines(_to_broker, lambda lines: lines.swallow()), lasts_s=(1, 8)
    ),
]
_OF_SEVERAL: Final = [
    SoakFault(name="a worker killed", harm=_ended(signal.SIGKILL)),
    SoakFault(name="a worker asked to stop", harm=_ended(signal.SIGTERM)),
]
_OF_SQLITE: Final = [
    SoakFault(name="the file locked", harm=sqlite.locked),
    SoakFault(name="the file locked again and again", harm=sqlite.contended),
    SoakFault(name="the disk full", harm=sqlite.full),
]
_OF_POSTGRESQL: Final = [
    SoakFault(name="the tables locked", harm=postgresql.locked),
    SoakFault(name="sessions ended again and again", harm=postgresql.terminated),
    SoakFault(name="the database full", harm=postgresql.full),
    SoakFault(name="the database read-only", harm=postgresql.read_only),
    SoakFault(name="the database slow", harm=postgresql.slow),
    SoakFault(name="the database unreachable", harm=postgresql.unreachable),
    SoakFault(name="the database's lines reset", harm=_lines(_to_database, lambda lines: lines.cut())),
    SoakFault(name="the database killed", harm=postgresql.server(PrivatePostgres.kill, PrivatePostgres.start)),
    SoakFault(name="the database frozen", harm=postgresql.server(PrivatePostgres.pause, PrivatePostgres.resume)),
]
