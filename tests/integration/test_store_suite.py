"""Both databases pass the suite of all stores."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from devtools.postgres import PrivatePostgres
from tests.support.store_suite import StoreSuite
from tests.support.store_suite_attempt import AttemptSuite
from tests.support.store_suite_relay import RelaySuite
from tests.support.store_suite_upkeep import UpkeepSuite
from tests.support.stores import made_store
from worker.sql.store import SqlStore

DATABASE = "store_suite"


@pytest.fixture(scope="module")
def postgres_url(postgres: PrivatePostgres) -> Iterator[str]:
    postgres.create_database(DATABASE)
    yield postgres.url(DATABASE)
    postgres.drop_database(DATABASE)


class TestSqliteStore(StoreSuite, AttemptSuite, RelaySuite, UpkeepSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqlStore]:
        async with made_store(f"sqlite+aiosqlite:///{tmp_path}/streams.db") as store:
            yield store


class TestPostgresStore(StoreSuite, AttemptSuite, RelaySuite, UpkeepSuite):
    @pytest.fixture
    async def store(self, postgres_url: str) -> AsyncIterator[SqlStore]:
        async with made_store(postgres_url) as store:
            yield store
