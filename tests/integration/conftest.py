"""What the tests of the client share, and those of the store."""

from collections.abc import AsyncIterator, Iterator

import pytest

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from stream_client import StreamsClient
from tests.support.fake_worker import WITHIN_S, FakeWorker
from tests.support.proxy import Proxy
from tests.support.stores import made_store
from worker.sql.store import SqlStore


@pytest.fixture
async def worker(broker: PrivateBroker, namespace: str) -> AsyncIterator[FakeWorker]:
    async with FakeWorker.working(broker.url, namespace) as worker:
        yield worker


@pytest.fixture
async def client(broker: PrivateBroker, worker: FakeWorker) -> AsyncIterator[StreamsClient]:
    async with StreamsClient(
        broker.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=WITHIN_S
    ) as client:
        yield client


@pytest.fixture
async def proxy(broker: PrivateBroker) -> AsyncIterator[Proxy]:
    async with Proxy(broker.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def url(request: pytest.FixtureRequest, postgres: PrivatePostgres) -> Iterator[str]:
    """A database on PostgreSQL for all tests of a module: `store` empties it."""
    name = request.module.__name__.rpartition(".")[2]
    postgres.create_database(name)
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    async with made_store(url) as store:
        yield store
