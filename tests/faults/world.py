"""Everything that a fault can lay hands on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import aio_pika
from aiormq.exceptions import AMQPError
from typing_extensions import override

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults.crowd import Crowd, Plan
from tests.faults.journal import now_s
from tests.faults.keeper import SOUND, Ailment, Keeper
from tests.support.bad_day import QUICK
from tests.support.proxy import Proxy
from tests.support.worker_process import settings_of
from worker.amqp.topology import topology

_SWEEP_WITHIN_S: Final = 60.0
OLD_ENOUGH_S: Final = 1.2  # of a quorum queue, to survive a kill of its broker


class Database(StrEnum):
    """The two kinds."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a trial is set up: one database, so many workers."""

    database: Database
    workers: int

    @override
    def __str__(self) -> str:
        return f"{self.database} {self.workers}"


SETUPS: Final = (
    Setup(database=Database.SQLITE, workers=1),
    Setup(database=Database.POSTGRESQL, workers=1),
    Setup(database=Database.POSTGRESQL, workers=3),
)
SETUPS_BY_NAME: Final = dict(zip(("sqlite", "postgresql-1", "postgresql-3"), SETUPS, strict=True))
PARTITIONS_MAX: Final = 4  # of any trial
POSTGRES_SETTINGS: Final = {"fsync": "off", "max_connections": "200"}  # of a server for several trials at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """What all trials of a run share; a fault that harms one of them mends it."""

    broker: PrivateBroker
    postgres: PrivatePostgres
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One trial's workers and what stands around them.

    The workers reach the broker through `amqp`, and PostgreSQL through `sql` (None with SQLite); the crowd goes to
    the broker itself. `database_url` is the database itself, too. A fault notes reply addresses that it takes away
    in `gone`, and devices for whose events it leaves no queue bound in `unheard`. `seed`: what it draws from.
    """

    setup: Setup
    servers: Servers
    namespace: str
    seed: int
    database_url: str
    keepers: Sequence[Keeper]
    amqp: Proxy
    sql: Proxy | None
    crowd: Crowd
    gone: set[str] = field(default_factory=set)
    unheard: set[str] = field(default_factory=set)
    _mended_s: list[float] = field(default_factory=list)

    @property
    def keeper(self) -> Keeper:
        """The first worker's: where one is enough."""
        return self.keepers[0]

    @property
    def sqlite_file(self) -> Path:
        """The file behind the database, with SQLite."""
        return Path(self.database_url.partition("///")[2])

    @property
    def mended_at_s(self) -> float | None:
        """When a fault undid its harm for the last time, as far as it has said so."""
        return self._mended_s[-1] if self._mended_s else None

    def mended(self) -> None:
        """Note that the harm is undone: from now on the recovery is timed. The last call counts.

        A fault that waits for a recovery calls it before: else the time would begin when the recovery is over.
        """
        self._mended_s.append(now_s())

    async def answered(self, more: int, *, within_s: float = 60) -> None:
        """Wait until so many more answers have come, or everything was asked and answered. Raises TimeoutError."""
        enough = self.crowd.journal.answers + more
        async with asyncio.timeout(within_s):
            while self.crowd.journal.answers < enough and not self.crowd.has_heard_all:  # noqa: ASYNC110 - many tasks add to it
                await asyncio.sleep(0.02)

    async def crashed(self, *, within_s: float = 60) -> None:
        """Wait until a worker has ended unasked. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not any(keeper.codes for keeper in self.keepers):  # noqa: ASYNC110 - another process's end
                await asyncio.sleep(0.02)

    async def hit(self, *, within_s: float = 60) -> None:
        """Wait until the first worker has come to its failpoint. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not self.keeper.is_hit:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)

    async def ready(self) -> None:
        """Wait until every worker consumes."""
        await asyncio.gather(*(keeper.ready() for keeper in self.keepers))


Act = Callable[[World], Awaitable[None]]


@asynccontextmanager
async def world(
    servers: Servers,
    setup: Setup,
    plan: Plan,
    *,
    namespace: str,
    ailment: Ailment = SOUND,
    program: str | None = None,
    **settings: str,
) -> AsyncIterator[World]:
    """Start the workers, of which the first may have an ailment, and everybody around them. `program` is what
    runs in the place of each worker.
    """
    async with AsyncExitStack() as stack:
        amqp = await stack.enter_async_context(Proxy(servers.broker.url, is_tapped=True))
        if setup.database is Database.SQLITE:
            sql, database_url = None, f"sqlite+aiosqlite:///{servers.folder / namespace}.db"
            through = database_url
        else:
            await asyncio.to_thread(servers.postgres.create_database, namespace)
            database_url = servers.postgres.url(namespace)
            sql = await stack.enter_async_context(Proxy(database_url))
            through = sql.url
        told = settings_of(amqp.url, namespace, through, **QUICK | settings)
        keepers = [
            Keeper(told, name=f"{namespace}-{number}", ailment=SOUND if number else ailment, program=program)
            for number in range(setup.workers)
        ]
        stack.push_async_callback(_sweep, servers.broker.url, namespace)
        await stack.enter_async_context(_kept(keepers))
        crowd = await stack.enter_async_context(Crowd(servers.broker.url, namespace, plan))
        await asyncio.sleep(OLD_ENOUGH_S)
        yield World(
            setup=setup,
            servers=servers,
            namespace=namespace,
            seed=plan.seed,
            database_url=database_url,
            keepers=keepers,
            amqp=amqp,
            sql=sql,
            crowd=crowd,
        )


@asynccontextmanager
async def _kept(keepers: Sequence[Keeper]) -> AsyncIterator[None]:
    """Keep all, started and stopped at once: most of a start is Python's own."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for keeper in keepers:
                tasks.create_task(keeper.begin(), name="keeper.begin")
        yield
    finally:
        await asyncio.gather(*(keeper.end() for keeper in keepers))


async def _sweep(url: str, namespace: str) -> None:
    """Remove what stood on the broker: hundreds of queues would slow each restart of it. A broker that does not
    answer has its trial to fail for that.
    """
    with suppress(OSError, TimeoutError, AMQPError):
        async with asyncio.timeout(_SWEEP_WITHIN_S), await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            wanted = topology(namespace, PARTITIONS_MAX)
            for queue in wanted.queues:
                await channel.queue_delete(queue.name)
            for exchange in reversed(wanted.exchanges):
                await channel.exchange_delete(exchange.name)
