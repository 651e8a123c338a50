"""Both databases pass the suite of all stores."""

from collections.abc import AsyncIterator

import pytest

from tests.support.store_suite import StoreSuite
from tests.support.stores import made_store
from worker.service.ports import Store


class TestSqlStore(StoreSuite):
    @pytest.fixture
    async def store(self, database_url: str) -> AsyncIterator[Store]:
        async with made_store(database_url) as store:
            yield store

    async def test_it_answers_a_ping(self, store: Store) -> None:
        await store.ping()
