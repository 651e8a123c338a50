"""The part of the stores' suite that is about one command on its own. A subclass provides the fixture `store`."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID, uuid4

import pytest

from tests.support.store_suite import (
    AT,
    LATER,
    PATIENCE_S,
    a_handled,
    a_stream,
    an_event,
    begin,
    load,
    save,
)
from tests.support.store_suite_relay import leave, park, publish
from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Handled, StoredEvent
from worker.service.ports import Attempt, Store, StoreConflict, Transaction
from worker.service.stored import UNPUBLISHED_MAX, Changes, Loaded, Wanted

NO_DEVICE: Final = Device(id="cam-1")
NOTHING: Final = Loaded(devices=[], streams=[], unpublished=[])


def of(*device_ids: str) -> Wanted:
    return Wanted(devices=frozenset(device_ids))


def to_create(device_id: str = "cam-1", handled: Handled | None = None) -> Wanted:
    keys = frozenset({handled.identity.key}) if handled else frozenset()
    return Wanted(creating=frozenset({device_id}), keys=keys)


async def seen(store: Store, wanted: Wanted) -> Loaded:
    """Load as one command does."""

    async def work(attempt: Attempt) -> Loaded:
        return await attempt.load(wanted)

    return await store.attempt(work)


async def attempted(store: Store, wanted: Wanted, changes: Changes) -> Loaded:
    """Load and save as one command does; return what was loaded."""

    async def work(attempt: Attempt) -> Loaded:
        loaded = await attempt.load(wanted)
        await attempt.save(changes)
        return loaded

    return await store.attempt(work)


def begun(stream: Stream, *, sequence: int = 1, handled: Sequence[Handled] = ()) -> tuple[Changes, StoredEvent]:
    """Return what a create leaves behind, and its event."""
    event = an_event(stream.device_id, sequence)
    device = Device(id=stream.device_id, sequence=sequence, latest_stream_id=stream.id)
    return Changes(at=AT, devices=[device], new_streams=[stream], events=[event], handled=handled), event


def in_order(loaded: Loaded) -> Loaded:
    """Have lists that can be compared, and the streams, which come in any order, in one."""
    streams = sorted(loaded.streams, key=lambda stream: stream.code)
    return replace(loaded, devices=list(loaded.devices), streams=streams, unpublished=list(loaded.unpublished))


class AttemptSuite:
    async def _is_seen_as_by_a_transaction(self, store: Store, wanted: Wanted) -> Loaded:
        """See that a command sees on its own what it would see in a transaction, and return it."""
        mine = in_order(await seen(store, wanted))
        assert mine == in_order(await store.transact(lambda transaction: transaction.load(wanted)))
        return mine

    async def test_an_attempt_finds_nothing_where_nothing_is(self, store: Store) -> None:
        key = a_handled().identity.key
        for wanted in (
            Wanted(devices=frozenset({"cam-1"}), keys=frozenset({key})),
            Wanted(stream_ids=frozenset({uuid4()}), keys=frozenset({key})),
            Wanted(codes=frozenset({"AAAA1111"}), keys=frozenset({key})),
            Wanted(devices=frozenset({"cam-1"})),
        ):
            assert await self._is_seen_as_by_a_transaction(store, wanted) == NOTHING

    @pytest.mark.parametrize("by", ["device", "creating", "id", "code"])
    async def test_an_attempt_sees_a_stream_and_what_is_unpublished_of_its_device(
        self, store: Store, by: str
    ) -> None:
        stream, handled = a_stream(), a_handled(problem="not_found")
        event = await begin(store, stream)
        await begin(store, a_stream("cam-2", "BBBB2222"))
        await save(store, Changes(at=AT, handled=[handled, a_handled("m-2"), a_handled("m-1", "sensor")]))
        keys = frozenset({handled.identity.key})
        wanted = {
            "device": Wanted(devices=frozenset({"cam-1"}), keys=keys),
            "creating": Wanted(creating=frozenset({"cam-1"}), keys=keys),
            "id": Wanted(stream_ids=frozenset({stream.id}), keys=keys),
            "code": Wanted(codes=frozenset({stream.code}), keys=keys),
        }[by]
        assert await self._is_seen_as_by_a_transaction(store, wanted) == Loaded(
            devices=[Device(id="cam-1", sequence=1, latest_stream_id=stream.id)],
            streams=[stream],
            handled={handled.identity.key: handled},
            unpublished=[event],
        )

    @pytest.mark.parametrize("by", ["id", "code"])
    async def test_an_attempt_sees_an_old_stream_and_the_latest_of_its_device(self, store: Store, by: str) -> None:
        old, new = a_stream(code="AAAA1111"), a_stream(code="BBBB2222")
        await begin(store, old)
        device = Device(id="cam-1", sequence=3, latest_stream_id=new.id)
        ended = old.stop(LATER)
        await save(store, Changes(at=AT, devices=[device], updated_streams=[ended], new_streams=[new]))
        named = {"stream_ids": frozenset({old.id})} if by == "id" else {"codes": frozenset({old.code})}
        loaded = await self._is_seen_as_by_a_transaction(store, Wanted(**named))  # type: ignore[arg-type] # one of two
        assert loaded.streams == [ended, new]
        assert loaded.devices == [device]

    @pytest.mark.parametrize("by", ["id", "code"])
    async def test_an_attempt_passes_over_what_its_asker_may_not_see(self, store: Store, by: str) -> None:
        stream, handled = a_stream(), a_handled()
        await begin(store, stream)
        await save(store, Changes(at=AT, handled=[handled]))
        name: UUID | str = stream.id if by == "id" else stream.code
        wanted = Wanted(
            stream_ids=frozenset({stream.id} if by == "id" else ()),
            codes=frozenset({stream.code} if by == "code" else ()),
            keys=frozenset({handled.identity.key}),
        )
        hidden = replace(wanted, only_for={name: frozenset({"cam-2"})})
        loaded = await self._is_seen_as_by_a_transaction(store, hidden)
        assert loaded == replace(NOTHING, handled={handled.identity.key: handled})
        own = replace(wanted, only_for={name: frozenset({"cam-1"})})
        assert (await self._is_seen_as_by_a_transaction(store, own)).streams == [stream]

    async def test_an_attempt_sees_events_in_order_and_not_those_of_others(self, store: Store) -> None:
        await leave(store, ("cam-1", 10), ("cam-2", 1), ("cam-1", 2), ("cam-1", 1))
        loaded = await self._is_seen_as_by_a_transaction(store, of("cam-1"))
        assert [event.sequence for event in loaded.unpublished] == [1, 2, 10]

    async def test_an_attempt_sees_so_many_events_and_that_there_are_more(self, store: Store) -> None:
        await leave(store, *(("cam-1", number + 1) for number in range(UNPUBLISHED_MAX + 10)))
        loaded = await self._is_seen_as_by_a_transaction(store, of("cam-1"))
        assert [event.sequence for event in loaded.unpublished] == list(range(1, UNPUBLISHED_MAX + 1))
        assert loaded.cut == {"cam-1"}

    async def test_an_attempt_sees_that_a_device_is_parked(self, store: Store) -> None:
        await leave(store, ("cam-1", 1), ("cam-1", 2))
        await park(store, "cam-1")
        loaded = await self._is_seen_as_by_a_transaction(store, of("cam-1"))
        assert loaded.parked == {"cam-1"}
        assert not loaded.unpublished

    async def test_an_attempt_sees_neither_what_is_published_nor_what_others_are_parked_for(
        self, store: Store
    ) -> None:
        first, second, _ = await leave(store, ("cam-1", 1), ("cam-1", 2), ("cam-2", 1))
        await park(store, "cam-2")
        assert (await self._is_seen_as_by_a_transaction(store, of("cam-1"))).unpublished == [first, second]
        await publish(store, first)
        assert (await self._is_seen_as_by_a_transaction(store, of("cam-1"))).unpublished == [second]
        await publish(store, second)
        assert not (await self._is_seen_as_by_a_transaction(store, of("cam-1"))).unpublished

    async def test_an_attempt_makes_a_device_and_all_that_comes_of_it(self, store: Store) -> None:
        stream, handled = a_stream(), a_handled()
        changes, event = begun(stream, handled=[handled])
        await attempted(store, to_create(handled=handled), changes)
        assert await load(store, devices=frozenset({"cam-1"}), keys=frozenset({handled.identity.key})) == Loaded(
            devices=changes.devices,
            streams=[stream],
            handled={handled.identity.key: handled},
            unpublished=[event],
        )

    async def test_an_attempt_changes_a_device_that_is_there(self, store: Store) -> None:
        old, new = a_stream(code="AAAA1111"), a_stream(code="BBBB2222")
        first = await begin(store, old)
        ended, second = old.stop(LATER), an_event(sequence=2)
        device = Device(id="cam-1", sequence=2, latest_stream_id=old.id)
        stopping = Changes(
            at=LATER, devices=[device], updated_streams=[ended], events=[second], published=[first.id]
        )
        await attempted(store, of("cam-1"), stopping)
        changes, third = begun(new, sequence=3)
        assert (await attempted(store, to_create(), changes)).streams == [ended]
        loaded = await load(store, codes=frozenset({old.code, new.code}))
        assert in_order(loaded).streams == [ended, new]
        assert loaded.devices == changes.devices
        assert loaded.unpublished == [second, third]

    async def test_an_attempt_that_changes_no_device_saves_its_answer_and_its_marks(self, store: Store) -> None:
        event, handled = await begin(store, a_stream()), a_handled(problem="not_found")
        for device_id in ("cam-1", "cam-9"):
            answer = a_handled(device_id)
            await attempted(store, of(device_id), Changes(at=AT, handled=[answer]))
        await attempted(store, of("cam-9"), Changes(at=LATER, handled=[handled], published=[event.id]))
        await attempted(store, of("cam-1"), Changes(at=LATER))
        keys = [a_handled(message_id).identity.key for message_id in ("cam-1", "cam-9", "m-1")]
        loaded = await load(store, devices=frozenset({"cam-1", "cam-9"}), keys=frozenset(keys))
        assert loaded.handled.keys() == set(keys)
        assert not loaded.unpublished

    @pytest.mark.parametrize("taken", ["code", "message id", "event"])
    async def test_an_attempt_at_what_is_taken_is_a_conflict_and_nothing_is_saved(
        self, store: Store, taken: str
    ) -> None:
        other = a_stream("cam-2", "AAAA1111")
        event = await begin(store, other)
        await save(store, Changes(at=AT, handled=[a_handled()]))
        stream = a_stream("cam-1", other.code if taken == "code" else "BBBB2222")
        handled = a_handled("m-1" if taken == "message id" else "m-2")
        changes, mine = begun(stream, handled=[handled])
        if taken == "event":
            changes = replace(changes, events=[replace(mine, id=event.id)])
        changes = replace(changes, published=[event.id])
        with pytest.raises(StoreConflict):
            await attempted(store, to_create(), changes)
        assert not [
            device for device in (await load(store, devices=frozenset({"cam-1"}))).devices if device.sequence
        ]
        assert not (await load(store, codes=frozenset({"BBBB2222"}))).streams
        assert not (await load(store, keys=frozenset({a_handled("m-2").identity.key}))).handled
        assert (await load(store, devices=frozenset({"cam-2"}))).unpublished == [event]

    async def test_an_attempt_that_raises_leaves_nothing_and_its_error_passes_through(self, store: Store) -> None:
        async def work(attempt: Attempt) -> None:
            await attempt.load(of("cam-1"))
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await store.attempt(work)
        assert not (await load(store, devices=frozenset({"cam-1"}))).devices

    async def test_cancelling_the_caller_does_not_cut_an_attempt_short(self, store: Store) -> None:
        has_loaded, go_on = asyncio.Event(), asyncio.Event()
        changes, _ = begun(a_stream())

        async def work(attempt: Attempt) -> None:
            await attempt.load(to_create())
            has_loaded.set()
            await go_on.wait()
            await attempt.save(changes)

        caller = asyncio.create_task(store.attempt(work))
        async with asyncio.timeout(PATIENCE_S):
            await has_loaded.wait()
            caller.cancel()
            await asyncio.wait([caller], timeout=0)
            assert not caller.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await caller
        assert (await load(store, devices=frozenset({"cam-1"}))).devices == changes.devices

    async def test_attempts_and_transactions_come_after_each_other(self, store: Store) -> None:
        async def count(one: Attempt) -> int:
            loaded = await one.load(to_create())
            before = loaded.devices[0] if loaded.devices else NO_DEVICE
            await one.save(Changes(at=AT, devices=[replace(before, sequence=before.sequence + 1)]))
            return before.sequence + 1

        async def counted(one: Transaction) -> int:
            return await count(one)

        async def again(number: int) -> int:
            if number % 2:
                return await store.transact(counted)
            while True:
                try:
                    return await store.attempt(count)
                except StoreConflict:  # only where they do not take turns
                    continue

        async with asyncio.timeout(PATIENCE_S):
            assert sorted(await asyncio.gather(*map(again, range(8)))) == list(range(1, 9))
