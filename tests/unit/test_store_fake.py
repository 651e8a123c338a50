"""The fake store and SQLite in memory pass the suite of all stores; and the fake can fail on demand."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.fakes_store import FakeStore
from tests.support.store_suite import AT, StoreSuite, a_handled, load, save
from tests.support.store_suite_attempt import AttemptSuite
from tests.support.store_suite_relay import RelaySuite
from tests.support.store_suite_upkeep import UpkeepSuite
from tests.support.stores import memory_store
from worker.service.ports import CommitUnknown, Store, StoreConflict, StoreUnavailable
from worker.service.stored import Changes


class TestFakeStore(StoreSuite, AttemptSuite, RelaySuite, UpkeepSuite):
    @pytest.fixture
    def store(self) -> Store:
        return FakeStore()


class TestMemoryStore(StoreSuite, AttemptSuite, RelaySuite, UpkeepSuite):
    @pytest.fixture
    async def store(self) -> AsyncIterator[Store]:
        async with memory_store() as store:
            yield store


async def test_a_store_in_memory_answers_as_long_as_we_do() -> None:
    async with memory_store() as store:
        await store.ping()


async def test_the_next_transactions_fail_as_told_and_save_nothing() -> None:
    store = FakeStore()
    store.fail_next(StoreUnavailable("once"))
    store.fail_next(StoreConflict("twice"))
    changes = Changes(at=AT, handled=[a_handled()])
    with pytest.raises(StoreUnavailable, match="once"):
        await save(store, changes)
    with pytest.raises(StoreConflict, match="twice"):
        await save(store, changes)
    assert not store.tables.handled
    await save(store, changes)
    assert list(store.tables.handled.values()) == [a_handled()]
    assert store.transactions == 3


async def test_a_commit_may_be_saved_although_its_answer_is_lost() -> None:
    store = FakeStore()
    store.fail_next(CommitUnknown("who knows"), saved=True)
    with pytest.raises(CommitUnknown):
        await save(store, Changes(at=AT, handled=[a_handled()]))
    key = a_handled().identity.key
    assert (await load(store, keys=frozenset({key}))).handled == {key: a_handled()}


async def test_a_worker_that_was_not_seen_for_a_day_is_forgotten() -> None:
    store = FakeStore()

    async def sign_in(name: str, hours: int) -> None:
        await store.transact(lambda transaction: transaction.sign_in(name, AT + timedelta(hours=hours)))

    for name, hours in (("gone", 0), ("a", 0), ("b", 1), ("a", 2), ("c", 25)):
        await sign_in(name, hours)
    assert list(store.tables.workers) == ["a", "b", "c"]


async def test_a_store_that_is_away_answers_nobody() -> None:
    store = FakeStore()
    store.is_away = True
    with pytest.raises(StoreUnavailable):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await load(store)
    store.is_away = False
    await store.ping()
    await store.close()
