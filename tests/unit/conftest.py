"""What the quick tests share: each of the service's tests runs on the fake store and on the real one."""

from collections.abc import AsyncIterator

import pytest

from tests.support.failing_store import FailingStore
from tests.support.fakes_store import FakeStore
from tests.support.stores import memory_store


@pytest.fixture(params=["fake", "sqlite"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FailingStore]:
    """An empty store that can be told to fail: in plain dictionaries, and SQLite in memory."""
    if request.param == "fake":
        yield FailingStore(FakeStore())
        return
    async with memory_store() as real:
        yield FailingStore(real)
