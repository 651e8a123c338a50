"""One worker for each database, and two on PostgreSQL, shared by the tests that do not harm them; every test has
devices of its own.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.support.wire import Device, Party, Subscriber, Undertaker
from tests.support.worker_process import WorkerProcess, settings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One running worker or two, and where they are."""

    url: str
    namespace: str
    database_url: str
    workers: tuple[WorkerProcess, ...]


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sqlite", "postgresql", "two workers"])
async def system(
    request: pytest.FixtureRequest, broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    namespace = f"a{uuid.uuid4().hex[:8]}"
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("database")
        database_url = f"sqlite+aiosqlite:///{folder}/streams.db"
    else:
        postgres: PrivatePostgres = request.getfixturevalue("postgres")
        postgres.create_database(namespace)
        database_url = postgres.url(namespace)
    settings = settings_of(broker.url, namespace, database_url)
    async with AsyncExitStack() as running:
        count = 2 if request.param == "two workers" else 1
        workers = [await running.enter_async_context(WorkerProcess(settings)) for _ in range(count)]
        yield System(url=broker.url, namespace=namespace, database_url=database_url, workers=tuple(workers))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def readers_url(broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a broker whose worker has every default that a reader's has, but for its files and ports."""
    namespace = "streams"
    database_url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/streams.db"
    try:
        async with WorkerProcess(settings_of(broker.url, namespace, database_url)):
            yield broker.url
    finally:
        async with Party(broker.url, namespace) as sweeper:
            for queue in ("commands", "dead"):
                await sweeper.channel.queue_delete(f"{namespace}.{queue}")
            for exchange in ("commands", "events", "dead"):
                await sweeper.channel.exchange_delete(f"{namespace}.{exchange}")


@pytest_asyncio.fixture(loop_scope="session")
async def device(system: System) -> AsyncIterator[Device]:
    for worker in system.workers:  # a test before may have taken the broker away for a while
        await worker.ready()
    async with Device(system.url, system.namespace) as device:
        yield device


@pytest_asyncio.fixture(loop_scope="session")
async def subscriber(system: System) -> AsyncIterator[Subscriber]:
    async with Subscriber(system.url, system.namespace) as subscriber:
        yield subscriber


@pytest_asyncio.fixture(loop_scope="session")
async def undertaker(system: System) -> AsyncIterator[Undertaker]:
    async with Undertaker(system.url, system.namespace) as undertaker:
        yield undertaker


@pytest.fixture
def device_id() -> str:
    return f"cam-{uuid.uuid4().hex[:10]}"
