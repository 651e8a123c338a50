"""The part of the stores' suite that is about forgetting and signing in. A subclass provides `store`."""

from datetime import datetime, timedelta

from tests.support.store_suite import AT, LATER, a_handled, load, save
from tests.support.store_suite_relay import claimed, leave, publish
from worker.service.messages import Handled, MessageKey
from worker.service.ports import Store, Transaction
from worker.service.stored import Changes, Horizon


async def prune(store: Store, *, handled: datetime = AT, events: datetime | None = None, limit: int = 100) -> int:
    horizon = Horizon(handled_before=handled, events_before=events, limit=limit)

    async def work(transaction: Transaction) -> int:
        return await transaction.prune(horizon)

    return await store.transact(work)


async def answered(store: Store, *minutes: int) -> None:
    """Save what was answered at these minutes past the beginning, each by the name of its minute."""
    rows = [a_handled(str(minute), at=AT + timedelta(minutes=minute)) for minute in minutes]
    await save(store, Changes(at=AT, handled=rows))


async def remembered(store: Store, *minutes: int) -> list[Handled]:
    keys = frozenset(MessageKey(sender="", message_id=str(minute)) for minute in minutes)
    return list((await load(store, keys=keys)).handled.values())


class UpkeepSuite:
    async def test_of_nothing_nothing_is_forgotten(self, store: Store) -> None:
        assert await prune(store, handled=LATER, events=LATER) == 0

    async def test_the_oldest_answers_are_forgotten_first_and_a_few_at_a_time(self, store: Store) -> None:
        await answered(store, 5, 1, 4, 2, 3, 0)
        horizon = AT + timedelta(minutes=4)
        left = []
        for _ in range(4):
            gone = await prune(store, handled=horizon, limit=2)
            left.append((gone, sorted(int(h.identity.key.message_id) for h in await remembered(store, *range(6)))))
        assert left == [(2, [2, 3, 4, 5]), (2, [4, 5]), (0, [4, 5]), (0, [4, 5])]

    async def test_events_are_kept_unless_a_horizon_is_given(self, store: Store) -> None:
        (event,) = await leave(store, ("cam-1", 1))
        await publish(store, event)
        assert await prune(store, handled=LATER) == 0
        assert await prune(store, handled=LATER, events=AT) == 0
        assert await prune(store, handled=LATER, events=LATER) == 1
        assert await prune(store, handled=LATER, events=LATER) == 0

    async def test_an_event_that_is_not_published_is_never_forgotten(self, store: Store) -> None:
        done, _ = await leave(store, ("cam-1", 1), ("cam-1", 2))
        await publish(store, done)
        assert await prune(store, events=LATER) == 1
        assert await claimed(store) == [("cam-1", 2)]

    async def test_the_limit_is_for_each_kind(self, store: Store) -> None:
        await answered(store, 0, 1, 2)
        await publish(store, *await leave(store, *(("cam-1", sequence) for sequence in (1, 2, 3))))
        horizon = AT + timedelta(hours=1)
        assert [await prune(store, handled=horizon, events=horizon, limit=2) for _ in range(3)] == [4, 2, 0]

    async def test_a_message_id_that_was_forgotten_is_free_again(self, store: Store) -> None:
        await answered(store, 0)
        await prune(store, handled=LATER)
        await answered(store, 0)
        assert len(await remembered(store, 0)) == 1

    async def test_a_worker_may_sign_in_again_and_again(self, store: Store) -> None:
        async def work(transaction: Transaction) -> None:
            for days in (0, 0, 1, 3, 2):
                await transaction.sign_in("a", AT + timedelta(days=days))
                await transaction.sign_in("b", AT)

        await store.transact(work)
