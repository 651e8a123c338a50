"""What all tests share: private servers that start when first asked for, and a watch on forgotten tasks.

Every test runs against servers of our own; settings of the person who runs them are put aside. Isolation is by
name, not by server: one node and one PostgreSQL serve the session, and each test has a namespace and a database.
Helpers that are more than a fixture stand in `tests/support/`, imported as `tests.support.…`.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aio_pika
import pytest
from hypothesis import HealthCheck, settings

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from worker.amqp.topology import EventLog, topology

_FORGOTTEN_TASKS_DEADLINE_S = 10.0
_SWEEP_DEADLINE_S = 60.0
PARTITIONS_MAX = 4  # of any test


def pytest_configure() -> None:
    """Put the person's own settings aside: a test must not reach a broker or database of theirs. And have no
    example fail for its time: it says how busy the machine is.
    """
    for name in [name for name in os.environ if name.startswith("STREAMS_")]:
        del os.environ[name]
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def broker() -> Iterator[PrivateBroker]:
    """A running RabbitMQ node for all tests; who stops, kills or pauses it, starts it again."""
    with PrivateBroker() as node:
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A running PostgreSQL for all tests, made fast: what it has survives a crash of it, not of the machine."""
    with PrivatePostgres(settings={"fsync": "off", "max_connections": "200"}) as server:
        yield server


@pytest.fixture
async def namespace(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A value for STREAMS_NAMESPACE that no other test has, or the given one; what stood on the broker under it is
    removed.
    """
    name = getattr(request, "param", None) or f"t{secrets.token_hex(4)}"
    yield name
    if "broker" in request.fixturenames:
        node: PrivateBroker = request.getfixturevalue("broker")
        async with asyncio.timeout(_SWEEP_DEADLINE_S):
            await _sweep(node.url, name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new, empty database, not migrated; a test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
        return
    server: PrivatePostgres = request.getfixturevalue("postgres")
    name = f"t{secrets.token_hex(8)}"
    server.create_database(name)
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(autouse=True)
def no_task_is_forgotten(request: pytest.FixtureRequest) -> None:
    """Watch the tests that run on the event loop."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("_tasks_of_the_loop")


@pytest.fixture
async def _tasks_of_the_loop() -> AsyncIterator[None]:
    """Fail a test that leaves a task behind. What lives longer than a test is made by wider fixtures, before."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if not left:
        return
    _, forgotten = await asyncio.wait(left, timeout=_FORGOTTEN_TASKS_DEADLINE_S)
    for task in forgotten:
        task.cancel()
    await asyncio.gather(*forgotten, return_exceptions=True)
    assert not forgotten, f"the test left tasks behind: {sorted(task.get_name() for task in forgotten)}"


async def _sweep(url: str, namespace: str) -> None:
    """Remove the broker objects of a namespace: hundreds of queues would slow each restart of the node."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        wanted = topology(namespace, PARTITIONS_MAX, EventLog(bytes_max=1, retention_s=1))
        for queue in wanted.queues:
            await channel.queue_delete(queue.name)
        for exchange in reversed(wanted.exchanges):
            await channel.exchange_delete(exchange.name)
