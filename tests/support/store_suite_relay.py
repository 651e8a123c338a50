"""The part of the stores' suite that is about events left behind. A subclass provides the fixture `store`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from tests.support.store_suite import AT, LATER, an_event, load, save
from worker.service.messages import StoredEvent
from worker.service.ports import Store, Transaction
from worker.service.stored import UNPUBLISHED_MAX, Changes, Claim, Parking

LEASE: Final = timedelta(seconds=30)
REST: Final = timedelta(hours=1)
FAR: Final = timedelta(hours=1)
NEXT_LOOK: Final = LATER + timedelta(seconds=10)
ROUNDS: Final = 3
Seen = list[tuple[str, int]]


async def claim(store: Store, worker: str = "a", *, now: datetime = LATER, **given: Any) -> list[StoredEvent]:
    """Claim what is late, as one sweep of a worker's relay does."""
    wanted = {"before": now, "until": now + LEASE, "limit": 100, **given}

    async def work(transaction: Transaction) -> list[StoredEvent]:
        return list(await transaction.claim(Claim(worker=worker, now=now, **wanted)))

    return await store.transact(work)


async def claimed(store: Store, worker: str = "a", **given: Any) -> Seen:
    return [(event.device_id, event.sequence) for event in await claim(store, worker, **given)]


async def refuse(store: Store, refused: Mapping[str, int], *, at: datetime = LATER) -> Sequence[str]:
    """Note refusals: after three rounds of them a device rests for an hour."""
    parking = Parking(at=at, after=ROUNDS, retry_at=at + REST)

    async def work(transaction: Transaction) -> Sequence[str]:
        return await transaction.refused(refused, parking)

    return await store.transact(work)


async def park(store: Store, device_id: str, sequence: int = 1, *, at: datetime = LATER) -> None:
    rounds = [await refuse(store, {device_id: sequence}, at=at) for _ in range(ROUNDS)]
    assert rounds == [[], [], [device_id]]


async def leave(store: Store, *events: tuple[str, int], at: datetime = AT) -> list[StoredEvent]:
    """Save events that nobody publishes."""
    left = [an_event(device_id, sequence, at=at) for device_id, sequence in events]
    await save(store, Changes(at=at, events=left))
    return left


async def publish(store: Store, *events: StoredEvent) -> None:
    await save(store, Changes(at=LATER, published=[event.id for event in events]))


class RelaySuite:
    async def test_where_nothing_is_left_behind_nothing_is_claimed(self, store: Store) -> None:
        (event,) = await leave(store, ("cam-1", 1))
        await publish(store, event)
        assert await claim(store) == []

    async def test_a_claim_brings_all_events_of_a_device_that_has_a_late_one(self, store: Store) -> None:
        (late,) = await leave(store, ("late", 1))
        fresh, _ = await leave(store, ("late", 2), ("fresh", 1), at=LATER)
        assert await claim(store, before=LATER) == [late, fresh]
        assert await claim(store, before=AT) == []

    async def test_a_device_is_late_with_any_of_its_events(self, store: Store) -> None:
        """The clocks of two workers differ: the lower event may bear the later time."""
        await leave(store, ("cam-1", 1), at=NEXT_LOOK)
        await leave(store, ("cam-1", 2))
        assert await claimed(store, before=LATER) == [("cam-1", 1), ("cam-1", 2)]

    async def test_claims_go_on_behind_a_device_byte_by_byte(self, store: Store) -> None:
        await leave(store, *((device_id, 1) for device_id in ("B", "a", "a-1", "b")))
        pages = [
            [device_id for device_id, _ in await claimed(store, after=after)] for after in ("", "B", "a", "b")
        ]
        assert pages == [["B", "a", "a-1", "b"], ["a", "a-1", "b"], ["a-1", "b"], []]

    async def test_a_claim_takes_no_more_than_its_limit_and_leaves_the_rest_to_others(self, store: Store) -> None:
        await leave(store, *((f"cam-{number}", 1) for number in range(5)))
        assert await claimed(store, "a", limit=2) == [("cam-0", 1), ("cam-1", 1)]
        assert await claimed(store, "b", limit=2) == [("cam-2", 1), ("cam-3", 1)]
        assert await claimed(store, "c", limit=2) == [("cam-4", 1)]

    async def test_a_device_with_more_than_the_limit_comes_from_its_lowest(self, store: Store) -> None:
        await leave(store, *(("cam-1", sequence) for sequence in (5, 2, 4, 3)), ("cam-2", 1))
        assert await claimed(store, limit=3) == [("cam-1", 2), ("cam-1", 3), ("cam-1", 4)]

    async def test_another_workers_device_is_passed_over_until_its_time_is_up(self, store: Store) -> None:
        await leave(store, ("cam-1", 1))
        assert await claimed(store, "a")
        assert await claimed(store, "b", now=LATER + LEASE - timedelta(microseconds=1)) == []
        assert await claimed(store, "b", now=LATER + LEASE) == [("cam-1", 1)]
        assert await claimed(store, "a", now=LATER + LEASE) == []

    async def test_a_claim_by_a_clock_that_is_far_ahead_holds_nobody_up(self, store: Store) -> None:
        """Whoever made it may be dead, and nobody would look after the device until our clock is there too."""
        await leave(store, ("cam-1", 1))
        assert await claimed(store, "ahead", now=LATER + FAR)
        assert await claimed(store, "b") == [("cam-1", 1)]
        assert await claimed(store, "c") == []

    async def test_an_event_from_a_clock_that_is_far_ahead_is_late_at_once(self, store: Store) -> None:
        await leave(store, ("far", 1), at=LATER + FAR)
        await leave(store, ("near", 1), at=NEXT_LOOK)
        assert await claimed(store, before=LATER) == [("far", 1)]

    async def test_a_worker_gets_its_own_device_again_and_keeps_it(self, store: Store) -> None:
        await leave(store, ("cam-1", 1))
        assert await claimed(store, "a")
        assert await claimed(store, "a", now=NEXT_LOOK) == [("cam-1", 1)]
        assert await claimed(store, "b", now=LATER + LEASE) == []

    async def test_a_device_that_became_free_again_is_not_the_last_owners(self, store: Store) -> None:
        (first,) = await leave(store, ("cam-1", 1))
        await claim(store, "a")
        await publish(store, first)
        assert await claim(store, "c") == []  # whoever looks tidies up
        await leave(store, ("cam-1", 2))
        assert await claimed(store, "b") == [("cam-1", 2)]

    async def test_a_claim_hides_nothing_from_a_batch(self, store: Store) -> None:
        """Whoever publishes for a device begins with its lowest, whose it is or not."""
        left = await leave(store, ("cam-1", 1), ("cam-1", 2))
        await claim(store, "a")
        assert (await load(store, devices=frozenset({"cam-1"}))).unpublished == left

    async def test_a_device_is_parked_once_the_same_event_was_refused_often_enough(self, store: Store) -> None:
        await leave(store, ("cam-1", 1), ("cam-2", 1))
        assert await refuse(store, {"cam-1": 1, "cam-2": 1}) == []
        assert await refuse(store, {"cam-1": 1}) == []
        assert await refuse(store, {"cam-1": 1, "cam-2": 1}) == ["cam-1"]
        assert await refuse(store, {"cam-2": 1, "cam-1": 1}) == ["cam-2"]

    async def test_another_event_begins_a_new_count(self, store: Store) -> None:
        await leave(store, ("cam-1", 1), ("cam-1", 2))
        for sequence in (1, 1, 2, 2):
            assert await refuse(store, {"cam-1": sequence}) == []
        assert await refuse(store, {"cam-1": 2}) == ["cam-1"]

    async def test_a_device_is_parked_at_once_where_one_refusal_is_enough(self, store: Store) -> None:
        await leave(store, ("cam-1", 1))

        async def work(transaction: Transaction) -> Sequence[str]:
            return await transaction.refused({"cam-1": 1}, Parking(at=LATER, after=1, retry_at=NEXT_LOOK))

        assert await store.transact(work) == ["cam-1"]
        assert await store.transact(work) == []

    async def test_no_refusals_are_nothing_to_note(self, store: Store) -> None:
        assert await refuse(store, {}) == []

    async def test_a_refusal_takes_the_device_from_nobody(self, store: Store) -> None:
        await leave(store, ("cam-1", 1))
        await claim(store, "a")
        await refuse(store, {"cam-1": 1})
        assert await claimed(store, "b") == []
        assert await claimed(store, "a") == [("cam-1", 1)]

    async def test_who_was_refused_without_a_claim_is_free(self, store: Store) -> None:
        await leave(store, ("cam-1", 1))
        await refuse(store, {"cam-1": 1}, at=NEXT_LOOK)  # by a clock that is ahead
        assert await claimed(store, "b", now=LATER) == [("cam-1", 1)]

    async def test_a_parked_device_is_passed_over_until_its_rest_is_over(self, store: Store) -> None:
        await leave(store, ("cam-1", 1), ("cam-1", 2), ("cam-2", 1))
        await claim(store, "a")
        await park(store, "cam-1")
        almost = LATER + REST - timedelta(microseconds=1)
        assert await claimed(store, "a", now=almost) == [("cam-2", 1)]
        assert await claimed(store, "a", now=LATER + REST) == [("cam-1", 1), ("cam-1", 2), ("cam-2", 1)]

    async def test_a_parked_device_that_is_refused_again_rests_again_and_is_reported_once(
        self, store: Store
    ) -> None:
        await leave(store, ("cam-1", 1))
        await park(store, "cam-1")
        again = LATER + REST
        assert await claimed(store, now=again) == [("cam-1", 1)]
        assert await refuse(store, {"cam-1": 1}, at=again) == []
        assert await claimed(store, now=again + LEASE) == []
        assert await claimed(store, now=again + REST) == [("cam-1", 1)]

    async def test_the_events_behind_one_that_was_published_after_all_do_not_wait(self, store: Store) -> None:
        stuck, _ = await leave(store, ("cam-1", 1), ("cam-1", 2))
        await park(store, "cam-1")
        await publish(store, stuck)
        assert await claimed(store) == [("cam-1", 2)]
        for _ in range(ROUNDS - 1):
            assert await refuse(store, {"cam-1": 2}) == []
        assert await refuse(store, {"cam-1": 2}) == ["cam-1"], "it is reported anew"

    async def test_a_batch_leaves_a_parked_device_to_the_relay(self, store: Store) -> None:
        left = await leave(store, ("cam-1", 1), ("cam-1", 2), ("cam-2", 1))
        await park(store, "cam-1")
        loaded = await load(store, devices=frozenset({"cam-1", "cam-2"}))
        assert loaded.parked == {"cam-1"}
        assert loaded.cut == frozenset()
        assert loaded.unpublished == left[2:]

    async def test_a_device_that_was_refused_but_is_not_parked_is_the_batches(self, store: Store) -> None:
        left = await leave(store, ("cam-1", 1))
        await refuse(store, {"cam-1": 1})
        loaded = await load(store, devices=frozenset({"cam-1"}))
        assert (loaded.parked, loaded.unpublished) == (frozenset(), left)

    @pytest.mark.parametrize("sequences", [[], [2]])
    async def test_once_the_parked_event_is_published_the_device_is_the_batches_again(
        self, store: Store, sequences: list[int]
    ) -> None:
        """Also before a relay came by: nothing but that event held the device up."""
        (stuck,) = await leave(store, ("cam-1", 1))
        await park(store, "cam-1")
        await publish(store, stuck)
        behind = await leave(store, *(("cam-1", sequence) for sequence in sequences))
        loaded = await load(store, devices=frozenset({"cam-1"}))
        assert (loaded.parked, loaded.unpublished) == (frozenset(), behind)

    async def test_a_batch_reads_the_lowest_events_of_a_device_and_no_more_than_the_bound(
        self, store: Store
    ) -> None:
        many = await leave(store, *(("many", sequence + 1) for sequence in range(UNPUBLISHED_MAX + 2)))
        full = await leave(store, *(("full", sequence + 1) for sequence in range(UNPUBLISHED_MAX)))
        loaded = await load(store, devices=frozenset({"many", "full"}))
        assert loaded.cut == {"many"}
        assert loaded.parked == frozenset()
        assert loaded.unpublished == [*full, *many[:UNPUBLISHED_MAX]]

    async def test_a_parked_device_with_many_events_is_parked(self, store: Store) -> None:
        await leave(store, *(("cam-1", sequence + 1) for sequence in range(UNPUBLISHED_MAX + 1)))
        await park(store, "cam-1")
        loaded = await load(store, devices=frozenset({"cam-1"}))
        assert loaded.parked == {"cam-1"}
        assert (loaded.cut, loaded.unpublished) == (frozenset(), [])

    async def test_what_is_noted_in_work_that_fails_is_not_noted(self, store: Store) -> None:
        await leave(store, ("cam-1", 1))

        async def work(transaction: Transaction) -> None:
            await transaction.claim(Claim(worker="a", now=LATER, until=NEXT_LOOK, before=LATER, limit=1))
            await transaction.refused({"cam-1": 1}, Parking(at=LATER, after=1, retry_at=NEXT_LOOK))
            raise LookupError

        with pytest.raises(LookupError):
            await store.transact(work)
        assert await claimed(store, "b") == [("cam-1", 1)]

    async def test_a_sweep_claims_nothing_that_it_has_just_marked_or_parked(self, store: Store) -> None:
        done, _, _ = await leave(store, ("done", 1), ("parked", 1), ("left", 1))

        async def work(transaction: Transaction) -> list[str]:
            await transaction.refused({"parked": 1}, Parking(at=LATER, after=1, retry_at=NEXT_LOOK))
            await transaction.save(Changes(at=LATER, published=[done.id]))
            claim = Claim(worker="a", now=LATER, until=NEXT_LOOK, before=LATER, limit=9)
            return [event.device_id for event in await transaction.claim(claim)]

        assert await store.transact(work) == ["left"]
