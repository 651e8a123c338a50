"""One command on PostgreSQL, which nothing holds a device for: others come in between, and sessions end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import pytest

from tests.support.beside import at_insert, end_sessions, run_beside, waits_for_a_lock
from tests.support.lost_answer import LostAnswer
from tests.support.store_suite import AT, LATER, PATIENCE_S, a_handled, a_stream, an_event, begin, load, save
from tests.support.store_suite_attempt import attempted, begun, of, to_create
from tests.support.store_suite_relay import park
from tests.support.stores import opened_store
from worker.domain.roster import Device
from worker.service.ports import Attempt, CommitUnknown, StoreConflict, StoreUnavailable, Transaction
from worker.service.stored import Changes, Loaded, Wanted
from worker.sql.engine import StoreOptions
from worker.sql.store import SqlStore

MINE: Final = a_handled("mine")


@pytest.fixture
async def other(store: SqlStore, url: str) -> AsyncIterator[SqlStore]:
    """The store of another worker on the same database."""
    assert store
    async with opened_store(url) as other:
        yield other


async def attempted_around(
    store: SqlStore, wanted: Wanted, changes: Changes, meanwhile: Callable[[], Awaitable[object]]
) -> None:
    """Load, have something happen, and save."""

    async def work(attempt: Attempt) -> None:
        await attempt.load(wanted)
        await meanwhile()
        await attempt.save(changes)

    async with asyncio.timeout(PATIENCE_S):
        await store.attempt(work)


async def nothing_is_saved(store: SqlStore) -> bool:
    """Whether nothing of an attempt at a stream with the code MMMM0000, answered with MINE, is there."""
    loaded = await load(store, codes=frozenset({"MMMM0000"}), keys=frozenset({MINE.identity.key}))
    return not loaded.streams and not loaded.handled


@pytest.mark.parametrize("device", ["new", "known"])
async def test_a_device_that_changed_since_it_was_read_is_a_conflict_and_nothing_is_saved(
    store: SqlStore, other: SqlStore, device: str
) -> None:
    theirs = a_stream(code="TTTT0000")
    published = await begin(store, a_stream("cam-2", "AAAA1111"))
    if device == "known":
        await load(store, creating=frozenset({"cam-1"}))
    mine, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])
    mine = replace(mine, published=[published.id])
    with pytest.raises(StoreConflict, match="changed"):
        await attempted_around(store, to_create(handled=MINE), mine, lambda: begin(other, theirs))
    assert await nothing_is_saved(store)
    loaded = await load(store, devices=frozenset({"cam-1", "cam-2"}))
    assert {stream.code for stream in loaded.streams} == {theirs.code, "AAAA1111"}
    assert published in loaded.unpublished


async def test_only_the_sequence_says_that_a_device_changed(store: SqlStore, other: SqlStore) -> None:
    """No constraint would notice this one: the events that were there are gone."""
    await load(store, creating=frozenset({"cam-1"}))
    moved = Device(id="cam-1", sequence=7)
    mine, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])
    with pytest.raises(StoreConflict, match="changed"):
        await attempted_around(store, of("cam-1"), mine, lambda: save(other, Changes(at=AT, devices=[moved])))
    assert await nothing_is_saved(store)
    assert (await load(store, devices=frozenset({"cam-1"}))).devices == [moved]


async def test_a_message_that_was_handled_since_is_a_conflict_and_nothing_is_saved(
    store: SqlStore, other: SqlStore
) -> None:
    mine, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])
    theirs = Changes(at=AT, handled=[a_handled("mine", problem="not_found")])
    with pytest.raises(StoreConflict):
        await attempted_around(store, to_create(handled=MINE), mine, lambda: save(other, theirs))
    assert not (await load(store, devices=frozenset({"cam-1"}))).devices
    assert not (await load(store, codes=frozenset({"MMMM0000"}))).streams


async def test_an_answer_alone_needs_nobody_to_stand_still(store: SqlStore, other: SqlStore) -> None:
    mine = Changes(at=AT, handled=[MINE])
    await attempted_around(store, of("cam-1"), mine, lambda: begin(other, a_stream()))
    assert not await nothing_is_saved(store)


async def test_marks_and_refusals_in_between_are_no_change_of_the_device(store: SqlStore, other: SqlStore) -> None:
    first = await begin(store, a_stream())
    second = an_event(sequence=2)
    device = Device(id="cam-1", sequence=2)

    async def meanwhile() -> None:
        await park(other, "cam-1")
        await save(other, Changes(at=AT, published=[first.id]))

    mine = Changes(at=LATER, devices=[device], events=[second], handled=[MINE], published=[first.id])
    await attempted_around(store, of("cam-1"), mine, meanwhile)
    assert (await load(store, devices=frozenset({"cam-1"}))).unpublished == [second]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Another worker that is at a device: it holds it until it is told to go, and ends well or not."""

    store: SqlStore
    ends_well: bool

    async def hold(self, has_begun: asyncio.Event, go_on: asyncio.Event) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.load(Wanted(creating=frozenset({"cam-1"})))
            theirs, _ = begun(a_stream(code="TTTT0000"))
            await transaction.save(theirs)
            has_begun.set()
            await go_on.wait()
            if not self.ends_well:
                raise LookupError

        with suppress(LookupError):
            await self.store.transact(work)


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("ends_well", [True, False])
async def test_an_attempt_waits_for_whoever_is_at_its_device_and_goes_by_what_came_of_that(
    store: SqlStore, other: SqlStore, *, is_known: bool, ends_well: bool
) -> None:
    if is_known:
        await load(store, creating=frozenset({"cam-1"}))
    has_begun, go_on = asyncio.Event(), asyncio.Event()
    holder = Holder(store=other, ends_well=ends_well)
    mine, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tasks.create_task(holder.hold(has_begun, go_on))
        await has_begun.wait()
        attempt = tasks.create_task(_outcome(attempted(store, to_create(handled=MINE), mine)))
        await waits_for_a_lock(store)
        go_on.set()
    assert await attempt == ("conflict" if ends_well else "saved")
    assert await nothing_is_saved(store) is ends_well
    codes = {stream.code for stream in (await load(store, devices=frozenset({"cam-1"}))).streams}
    assert codes == ({"TTTT0000"} if ends_well else {"MMMM0000"})


async def _outcome(attempt: Awaitable[Loaded]) -> str:
    try:
        await attempt
    except StoreConflict:
        return "conflict"
    return "saved"


async def test_workers_that_attempt_the_same_devices_count_them_without_a_gap(url: str, store: SqlStore) -> None:
    workers, rounds, ids = 4, 25, ("cam-1", "cam-2")
    conflicts: list[str] = []

    async def one(mine: SqlStore, name: str, number: int) -> None:
        wanted, handled = to_create(ids[number % 2]), a_handled(f"{name} {number}")

        async def work(attempt: Attempt) -> None:
            loaded = await attempt.load(wanted)
            before = loaded.devices[0] if loaded.devices else Device(id=ids[number % 2])
            after = replace(before, sequence=before.sequence + 1)
            marks = [event.id for event in loaded.unpublished]
            event = an_event(after.id, after.sequence)
            await attempt.save(Changes(at=AT, devices=[after], events=[event], handled=[handled], published=marks))

        try:
            await mine.attempt(work)
        except StoreConflict as conflict:
            conflicts.append(str(conflict))
            await mine.transact(work)

    async def worker(name: str) -> None:
        async with opened_store(url) as mine:
            for number in range(rounds):
                await one(mine, name, number)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(worker(f"w-{number}") for number in range(workers)))
    loaded = await load(store, devices=frozenset(ids))
    assert sum(device.sequence for device in loaded.devices) == workers * rounds
    counted = "SELECT count(*) FROM handled_commands"
    assert await run_beside(store, counted) == workers * rounds
    events = "SELECT count(*) FROM stream_events"
    assert await run_beside(store, events) == workers * rounds
    assert not [conflict for conflict in conflicts if "deadlock" in conflict]


async def test_attempts_and_batches_of_several_devices_do_not_deadlock(url: str, store: SqlStore) -> None:
    ids = [f"cam-{number}" for number in range(4)]
    conflicts: list[str] = []

    async def batches(mine: SqlStore) -> None:
        for number in range(30):

            async def batch(transaction: Transaction, number: int = number) -> None:
                loaded = await transaction.load(Wanted(creating=frozenset([*ids, f"new-{number}"])))
                moved = [replace(device, sequence=device.sequence + 1) for device in loaded.devices]
                marks = [event.id for event in loaded.unpublished]
                await transaction.save(Changes(at=AT, devices=moved, published=marks))

            await mine.transact(batch)

    async def attempts(mine: SqlStore) -> None:
        for number in range(60):
            wanted = to_create(f"new-{number // 2}" if number % 2 else ids[number % 4])

            async def work(attempt: Attempt, wanted: Wanted = wanted) -> None:
                loaded = await attempt.load(wanted)
                (device_id,) = wanted.creating
                before = loaded.devices[0] if loaded.devices else Device(id=device_id)
                after = replace(before, sequence=before.sequence + 1)
                marks = [event.id for event in loaded.unpublished]
                await attempt.save(
                    Changes(at=AT, devices=[after], events=[an_event(device_id, after.sequence)], published=marks)
                )

            try:
                await mine.attempt(work)
            except StoreConflict as conflict:
                conflicts.append(str(conflict))

    async with opened_store(url) as second, opened_store(url) as third, asyncio.timeout(PATIENCE_S):
        await asyncio.gather(batches(store), attempts(second), attempts(third))
    assert conflicts, "they did not meet"
    assert not [conflict for conflict in conflicts if "deadlock" in conflict]


@pytest.mark.parametrize("device", ["new", "known"])
async def test_an_attempt_locks_its_device_first_and_the_rest_in_the_order_of_a_batch(
    store: SqlStore, device: str
) -> None:
    """In which order the parts of a statement are carried out, PostgreSQL does not promise."""
    events = [await begin(store, a_stream(f"cam-{number}", f"AAAA000{number}")) for number in (7, 8)]
    if device == "known":
        await load(store, creating=frozenset({"cam-1"}))
    await run_beside(store, *_taking_notes())
    batch, _ = begun(a_stream("cam-2", "BBBB0000"), handled=[a_handled("theirs")])
    await save(store, replace(batch, published=[events[0].id]))
    made, *of_batch, moved = await _noted(store)
    assert {made, moved} == {"INSERT devices", "UPDATE devices"}
    mine, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])
    await attempted(store, to_create(handled=MINE), replace(mine, published=[events[1].id]))
    assert await _noted(store) == [made if device == "new" else moved, *of_batch]


def _taking_notes() -> list[str]:
    note = "BEGIN INSERT INTO notes (said) VALUES (TG_OP || ' ' || TG_TABLE_NAME); RETURN NEW; END"
    tables = ("devices", "streams", "stream_events", "handled_commands")
    return [
        "CREATE TABLE notes (number serial, said text)",
        f"CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ {note} $$",
        *(
            f"CREATE TRIGGER note BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION note()"
            for table in tables
        ),
    ]


async def _noted(store: SqlStore) -> list[str]:
    """Return what was changed since the last time, in order."""
    said = await run_beside(store, "SELECT array_agg(said ORDER BY number) FROM notes")
    await run_beside(store, "TRUNCATE notes")
    return list(said)


async def test_a_session_that_ends_before_anything_is_saved_is_unavailable(store: SqlStore) -> None:
    async def work(attempt: Attempt) -> None:
        await end_sessions(store)
        await attempt.load(of("cam-1"))

    with pytest.raises(StoreUnavailable):
        await store.attempt(work)
    await attempted(store, to_create(), begun(a_stream())[0])


async def test_a_session_that_ends_while_it_saves_leaves_it_unknown(store: SqlStore) -> None:
    await at_insert(store, "PERFORM pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(CommitUnknown):
        await attempted(store, to_create(handled=MINE), begun(a_stream(code="MMMM0000"), handled=[MINE])[0])
    assert await nothing_is_saved(store)


async def test_an_attempt_that_is_saved_and_whose_answer_is_lost_is_unknown(url: str, store: SqlStore) -> None:
    mine, _ = begun(a_stream(code="MMMM0000"), handled=[MINE])
    async with LostAnswer(url, to="SELECT 1") as line, opened_store(line.url) as far:

        async def arm() -> None:
            line.arm()

        with pytest.raises(CommitUnknown):
            await attempted_around(far, to_create(handled=MINE), mine, arm)
        assert line.lost == 1
        with pytest.raises(StoreConflict):
            await attempted(far, to_create(handled=MINE), mine)
    assert not await nothing_is_saved(store)


async def test_an_attempt_that_nobody_answers_is_unknown(url: str, store: SqlStore) -> None:
    await at_insert(store, "PERFORM pg_sleep(60)")
    async with opened_store(url, options=StoreOptions(transaction_timeout_s=1)) as hasty:
        with pytest.raises(CommitUnknown, match="longer than 1 s"):
            await attempted(hasty, to_create(handled=MINE), begun(a_stream(code="MMMM0000"), handled=[MINE])[0])
        await run_beside(store, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        assert await nothing_is_saved(hasty)


async def test_a_device_that_another_holds_too_long_is_unavailable(url: str, store: SqlStore) -> None:
    await load(store, creating=frozenset({"cam-1"}))
    async with opened_store(url, options=StoreOptions(lock_timeout_s=0.1)) as impatient:

        async def hold(transaction: Transaction) -> None:
            await transaction.load(of("cam-1"))
            with pytest.raises(StoreUnavailable, match="lock timeout"):
                await attempted(impatient, to_create(), begun(a_stream())[0])

        await store.transact(hold)
        await attempted(impatient, to_create(), begun(a_stream())[0])


async def test_an_attempt_is_for_one_command(store: SqlStore) -> None:
    with pytest.raises(ValueError, match="expected 1"):
        await attempted(store, of("cam-1", "cam-2"), Changes(at=AT))
    both = Wanted(devices=frozenset({"cam-1"}), codes=frozenset({"AAAA1111"}))
    with pytest.raises(ValueError, match="expected 1"):
        await attempted(store, both, Changes(at=AT))
    with pytest.raises(ValueError, match="expected 1"):
        await attempted(store, of("cam-1"), Changes(at=AT, handled=[MINE, a_handled("other")]))
