"""The one suite that every store passes, the fake too. A subclass provides the fixture `store`."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import pytest

from tests.support.making import BEGAN
from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Answer, Handled, Identity, MessageKey, StoredEvent
from worker.service.ports import Store, StoreConflict, Transaction
from worker.service.stored import Changes, Loaded, Wanted

AT: Final = BEGAN
LATER: Final = AT + timedelta(seconds=5)
PATIENCE_S: Final = 60


def a_stream(device_id: str = "cam-1", code: str = "AAAA1111", *, id_: UUID | None = None) -> Stream:
    return Stream.start(id=id_ or uuid4(), device_id=device_id, code=code, at=AT)


def an_event(device_id: str = "cam-1", sequence: int = 1, *, at: datetime = AT) -> StoredEvent:
    body = f"{device_id} {sequence} \x00 é".encode()
    return StoredEvent(id=uuid4(), device_id=device_id, sequence=sequence, type="stream.created", at=at, body=body)


def a_handled(
    message_id: str = "m-1", sender: str = "", *, problem: str | None = None, at: datetime = AT
) -> Handled:
    return Handled(
        identity=Identity(key=MessageKey(sender=sender, message_id=message_id), digest=bytes(range(32))),
        answer=Answer(
            type="stream.reply", content_type="application/json", body=b'{"a":"\xc3\xa9"}', problem=problem
        ),
        at=at,
    )


async def load(store: Store, **wanted: frozenset[object]) -> Loaded:
    async def work(transaction: Transaction) -> Loaded:
        return await transaction.load(Wanted(**wanted))  # type: ignore[arg-type] # each test names what it wants

    return await store.transact(work)


async def save(store: Store, changes: Changes) -> None:
    """Save in one transaction, the devices of what is new being made first as a batch would."""
    ids = {device.id for device in changes.devices} | {stream.device_id for stream in changes.new_streams}
    ids |= {event.device_id for event in changes.events}

    async def work(transaction: Transaction) -> None:
        await transaction.load(Wanted(creating=frozenset(ids)))
        await transaction.save(changes)

    await store.transact(work)


async def begin(store: Store, stream: Stream, *, sequence: int = 1) -> StoredEvent:
    """Save a new stream as a batch would: with its device and its event, which is returned."""
    event = an_event(stream.device_id, sequence)
    device = Device(id=stream.device_id, sequence=sequence, latest_stream_id=stream.id)
    await save(store, Changes(at=AT, devices=[device], new_streams=[stream], events=[event]))
    return event


class StoreSuite:
    async def test_an_empty_store_has_nothing(self, store: Store) -> None:
        loaded = await load(
            store,
            devices=frozenset({"cam-1"}),
            stream_ids=frozenset({uuid4()}),
            codes=frozenset({"AAAA1111"}),
            keys=frozenset({MessageKey(sender="", message_id="m-1")}),
        )
        assert loaded == Loaded(devices=[], streams=[], handled={}, unpublished=[])

    async def test_nothing_wanted_is_nothing_loaded(self, store: Store) -> None:
        assert await load(store) == Loaded(devices=[], streams=[], handled={}, unpublished=[])

    async def test_a_device_to_create_is_made_and_one_only_named_is_not(self, store: Store) -> None:
        made = await load(store, creating=frozenset({"cam-1"}), devices=frozenset({"cam-2"}))
        assert made.devices == [Device(id="cam-1", sequence=0, latest_stream_id=None)]
        again = await load(store, devices=frozenset({"cam-1", "cam-2"}))
        assert again.devices == made.devices

    async def test_a_device_that_is_there_is_not_made_anew(self, store: Store) -> None:
        stream = a_stream()
        await begin(store, stream, sequence=7)
        loaded = await load(store, creating=frozenset({"cam-1"}))
        assert loaded.devices == [Device(id="cam-1", sequence=7, latest_stream_id=stream.id)]

    async def test_devices_come_sorted_byte_by_byte(self, store: Store) -> None:
        ids = ["b", "B", "a", "cam:1", "cam-1", "cam.1", "A"]
        loaded = await load(store, creating=frozenset(ids))
        assert [device.id for device in loaded.devices] == sorted(ids)

    @pytest.mark.parametrize("by", ["device", "creating", "id", "code"])
    async def test_a_stream_comes_back_as_it_was_saved(self, store: Store, by: str) -> None:
        stream = a_stream()
        event = await begin(store, stream)
        wanted: dict[str, dict[str, frozenset[object]]] = {
            "device": {"devices": frozenset({"cam-1"})},
            "creating": {"creating": frozenset({"cam-1"})},
            "id": {"stream_ids": frozenset({stream.id})},
            "code": {"codes": frozenset({stream.code})},
        }
        loaded = await load(store, **wanted[by])
        assert loaded.streams == [stream]
        assert loaded.devices == [Device(id="cam-1", sequence=1, latest_stream_id=stream.id)]
        assert loaded.unpublished == [event]

    async def test_a_stopped_stream_comes_back_with_its_moments_to_the_microsecond(self, store: Store) -> None:
        stream = a_stream()
        await begin(store, stream)
        stopped = stream.stop(datetime(2026, 1, 12, 10, 30, 0, 1, tzinfo=UTC))
        await save(store, Changes(at=AT, updated_streams=[stopped]))
        (loaded,) = (await load(store, codes=frozenset({stream.code}))).streams
        assert loaded == stopped
        assert loaded.stopped_at is not None
        assert loaded.stopped_at.utcoffset() == timedelta(0)
        assert loaded.created_at.utcoffset() == timedelta(0)

    async def test_an_old_stream_brings_its_devices_latest_along(self, store: Store) -> None:
        old, new = a_stream(code="AAAA1111"), a_stream(code="BBBB2222")
        await begin(store, old)
        stopped = old.stop(LATER)
        device = Device(id="cam-1", sequence=3, latest_stream_id=new.id)
        await save(store, Changes(at=AT, devices=[device], updated_streams=[stopped], new_streams=[new]))
        loaded = await load(store, codes=frozenset({old.code}))
        assert {stream.id: stream for stream in loaded.streams} == {old.id: stopped, new.id: new}
        assert loaded.devices == [device]

    async def test_the_old_stream_may_end_and_the_next_begin_in_one_batch(self, store: Store) -> None:
        old = a_stream(code="AAAA1111")
        await begin(store, old)
        between = a_stream(code="CCCC3333").stop(LATER)
        last = a_stream(code="BBBB2222")
        await save(store, Changes(at=AT, updated_streams=[old.stop(LATER)], new_streams=[between, last]))
        loaded = await load(store, stream_ids=frozenset({between.id, last.id}))
        assert {stream.id for stream in loaded.streams} >= {between.id, last.id}

    async def test_what_was_answered_comes_back_byte_for_byte(self, store: Store) -> None:
        mine, same_id, refused = (
            a_handled("m-1"),
            a_handled("m-1", "sensor"),
            a_handled("m-2", problem="not_found"),
        )
        await save(store, Changes(at=AT, handled=[mine, same_id, refused]))
        keys = [mine.identity.key, same_id.identity.key, refused.identity.key]
        unknown = MessageKey(sender="sensor", message_id="m-2")
        loaded = await load(store, keys=frozenset({*keys, unknown}))
        assert loaded.handled == dict(zip(keys, [mine, same_id, refused], strict=True))

    async def test_only_the_very_pairs_of_sender_and_message_that_were_asked_for_come_back(
        self, store: Store
    ) -> None:
        names = ["", "m", "5", "1.0", "null", "[1]", '"', "'", "\\u0041", "A", "é", "\U0001f600", "x" * 128]
        handled = [a_handled(m, sender) for sender, m in itertools.pairwise(names)]
        await save(store, Changes(at=AT, handled=[*handled, a_handled("m", "m"), a_handled("5", "5")]))
        keys = frozenset(one.identity.key for one in handled)
        assert (await load(store, keys=keys)).handled == {one.identity.key: one for one in handled}

    async def test_unpublished_events_come_in_order_and_of_the_meant_devices_only(self, store: Store) -> None:
        events = [an_event(device, sequence) for device in ("b", "a", "c") for sequence in (2, 10, 1)]
        await save(store, Changes(at=AT, events=events))
        loaded = await load(store, devices=frozenset({"a", "b"}))
        seen = [(event.device_id, event.sequence) for event in loaded.unpublished]
        assert seen == [("a", 1), ("a", 2), ("a", 10), ("b", 1), ("b", 2), ("b", 10)]
        assert {event.id: event for event in loaded.unpublished}.items() <= {e.id: e for e in events}.items()

    async def test_a_marked_event_is_unpublished_no_more(self, store: Store) -> None:
        first, second = an_event(sequence=1), an_event(sequence=2)
        await save(store, Changes(at=AT, events=[first, second]))
        await save(store, Changes(at=LATER, published=[first.id]))
        await save(store, Changes(at=LATER, published=[first.id, uuid4()]))
        assert (await load(store, devices=frozenset({"cam-1"}))).unpublished == [second]

    async def test_the_work_sees_what_it_saved(self, store: Store) -> None:
        stream = a_stream()

        async def work(transaction: Transaction) -> Loaded:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            await transaction.save(Changes(at=AT, new_streams=[stream]))
            return await transaction.load(Wanted(codes=frozenset({stream.code})))

        assert (await store.transact(work)).streams == [stream]

    async def test_a_second_active_stream_is_a_conflict_and_nothing_is_saved(self, store: Store) -> None:
        await begin(store, a_stream(code="AAAA1111"))
        await self._conflicts(store, Changes(at=AT, new_streams=[a_stream(code="BBBB2222")]))

    async def test_a_code_that_is_taken_is_a_conflict_and_nothing_is_saved(self, store: Store) -> None:
        await begin(store, a_stream("cam-1", "AAAA1111"))
        await self._conflicts(store, Changes(at=AT, new_streams=[a_stream("cam-2", "AAAA1111")]))

    async def test_an_id_that_is_taken_is_a_conflict_and_nothing_is_saved(self, store: Store) -> None:
        stream = a_stream("cam-1", "AAAA1111")
        await begin(store, stream)
        await self._conflicts(store, Changes(at=AT, new_streams=[a_stream("cam-2", "BBBB2222", id_=stream.id)]))

    async def test_a_message_handled_twice_is_a_conflict_and_nothing_is_saved(self, store: Store) -> None:
        await save(store, Changes(at=AT, handled=[a_handled()]))
        await self._conflicts(store, Changes(at=AT, handled=[a_handled("other"), a_handled()]))

    async def test_a_sequence_that_is_taken_is_a_conflict_and_nothing_is_saved(self, store: Store) -> None:
        await save(store, Changes(at=AT, events=[an_event(sequence=1)]))
        await self._conflicts(store, Changes(at=AT, events=[an_event(sequence=1)]))

    async def test_an_event_that_is_there_is_a_conflict_and_nothing_is_saved(self, store: Store) -> None:
        event = an_event("cam-2")
        await save(store, Changes(at=AT, events=[event]))
        await self._conflicts(store, Changes(at=AT, events=[event]))

    async def test_a_stream_without_its_device_is_a_conflict(self, store: Store) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.save(Changes(at=AT, new_streams=[a_stream()]))

        with pytest.raises(StoreConflict):
            await store.transact(work)

    async def _conflicts(self, store: Store, changes: Changes) -> None:
        """Save these changes beside others that are fine, and see that neither is kept."""
        fine = a_stream("fine", "FFFF0000")
        also = Changes(
            at=changes.at,
            devices=[Device(id="fine", sequence=9, latest_stream_id=fine.id)],
            new_streams=[fine, *changes.new_streams],
            events=[an_event("fine", 9), *changes.events],
            handled=[a_handled("fine"), *changes.handled],
        )
        with pytest.raises(StoreConflict):
            await save(store, also)
        loaded = await load(
            store,
            devices=frozenset({"fine"}),
            codes=frozenset({fine.code}),
            keys=frozenset({MessageKey(sender="", message_id="fine")}),
        )
        assert loaded == Loaded(devices=[], streams=[], handled={}, unpublished=[])

    async def test_a_conflict_that_the_work_keeps_to_itself_is_raised_all_the_same(self, store: Store) -> None:
        await save(store, Changes(at=AT, handled=[a_handled()]))

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            with pytest.raises(StoreConflict):
                await transaction.save(Changes(at=AT, handled=[a_handled()]))

        with pytest.raises(StoreConflict):
            await store.transact(work)
        assert not (await load(store, devices=frozenset({"cam-1"}))).devices

    async def test_work_that_raises_is_rolled_back_and_its_error_passes_through(self, store: Store) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            await transaction.save(Changes(at=AT, new_streams=[a_stream()]))
            raise LookupError("mine")

        with pytest.raises(LookupError, match="mine"):
            await store.transact(work)
        assert await load(store, devices=frozenset({"cam-1"})) == Loaded(
            devices=[], streams=[], handled={}, unpublished=[]
        )

    async def test_cancelling_the_caller_does_not_cut_the_transaction_short(self, store: Store) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            begun.set()
            await go_on.wait()
            await transaction.save(Changes(at=AT, new_streams=[a_stream()]))

        caller = asyncio.create_task(store.transact(work))
        async with asyncio.timeout(PATIENCE_S):
            await begun.wait()
            for _ in range(3):  # however often
                caller.cancel()
                await asyncio.wait([caller], timeout=0)
            assert not caller.done()
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await caller
        assert [stream.code for stream in (await load(store, codes=frozenset({"AAAA1111"}))).streams] == [
            "AAAA1111"
        ]

    async def test_a_cancelled_caller_hears_of_the_cancellation_even_where_the_work_fails(
        self, store: Store
    ) -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            begun.set()
            await go_on.wait()
            raise LookupError

        caller = asyncio.create_task(store.transact(work))
        async with asyncio.timeout(PATIENCE_S):
            await begun.wait()
            caller.cancel()
            await asyncio.wait([caller], timeout=0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError) as raised:
                await caller
        assert isinstance(raised.value.__cause__, LookupError)
        assert not (await load(store, devices=frozenset({"cam-1"}))).devices

    async def test_transactions_take_turns(self, store: Store) -> None:
        async def work(transaction: Transaction) -> int:
            (device,) = (await transaction.load(Wanted(creating=frozenset({"cam-1"})))).devices
            await asyncio.sleep(0)
            changed = Device(id="cam-1", sequence=device.sequence + 1, latest_stream_id=None)
            await transaction.save(Changes(at=AT, devices=[changed]))
            return changed.sequence

        async with asyncio.timeout(PATIENCE_S):
            counted = await asyncio.gather(*(store.transact(work) for _ in range(8)))
        assert sorted(counted) == list(range(1, 9))

    async def test_what_the_work_returns_is_returned(self, store: Store) -> None:
        async def work(_: Transaction) -> str:
            return "this"

        assert await store.transact(work) == "this"
