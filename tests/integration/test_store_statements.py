"""What a batch costs: the number of statements does not grow with the batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import event

from tests.support.store_suite import AT, LATER, a_handled, a_stream, an_event, save
from tests.support.stores import made_store
from worker.domain.code import code_from_bits
from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import MessageKey, StoredEvent
from worker.service.ports import Attempt, Transaction
from worker.service.stored import Changes, Claim, Horizon, Parking, Wanted
from worker.sql.store import SqlStore

LOAD: Final = ["SELECT streams", "INSERT devices", "SELECT devices", "SELECT devices", "SELECT handled_commands"]
SAVE: Final = [
    "UPDATE devices",
    "UPDATE streams",
    "INSERT streams",
    "INSERT stream_events",
    "INSERT handled_commands",
    "UPDATE stream_events",
]
SAVE_AT_ONCE: Final = ["UPDATE streams", "WITH"]
SWEEP: Final = [
    "INSERT workers",
    "DELETE workers",
    "SELECT devices",
    "SELECT relayed_devices",
    "INSERT relayed_devices",
    "UPDATE stream_events",
    "INSERT relayed_devices",
    "DELETE relayed_devices",
    "UPDATE relayed_devices",
    "SELECT stream_events",
]
PRUNE: Final = ["DELETE handled_commands", "DELETE stream_events"]


@contextmanager
def statements_sent(store: SqlStore) -> Iterator[list[str]]:
    """Collect what is sent, each as its verb and its table."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words = statement.replace("(", " ").split()
        if words[0] == "SELECT" and "nothing" in words:
            sent.append("SELECT")
            return
        if words[1].startswith(("write_", "moved")):
            sent.append("WITH")
            return
        words = words[words.index("INSERT") :] if words[0] == "WITH" else words
        table = {"SELECT": "FROM", "INSERT": "INTO", "UPDATE": "UPDATE", "DELETE": "FROM"}.get(words[0])
        if table:  # BEGIN is a statement on one of the databases and a call on the other
            sent.append(f"{words[0]} {words[words.index(table) + 1]}")

    event.listen(store._engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(store._engine.sync_engine, "before_cursor_execute", note)


def _is_postgresql(store: SqlStore) -> bool:
    return store._engine.dialect.name == "postgresql"


async def _batch(store: SqlStore, old: list[Stream], earlier: list[StoredEvent]) -> None:
    """Stop each old stream, begin a new one on a new device, answer, and mark what was published before."""
    new = [a_stream(f"new-{n}", code_from_bits(1_000_000 + n)) for n in range(len(old))]
    half = len(old) // 2 or 1
    handled = [a_handled(f"m-{n}") for n in range(len(old))]
    wanted = Wanted(
        creating=frozenset(stream.device_id for stream in new),
        stream_ids=frozenset(stream.id for stream in old[:half]),
        codes=frozenset(stream.code for stream in old[half:]),
        keys=frozenset(one.identity.key for one in handled),
    )

    async def work(transaction: Transaction) -> None:
        loaded = await transaction.load(wanted)
        assert len(loaded.devices) == 2 * len(old)
        assert len(loaded.unpublished) == len(old)
        await transaction.save(
            Changes(
                at=AT,
                devices=[Device(id=s.device_id, sequence=2, latest_stream_id=s.id) for s in [*old, *new]],
                updated_streams=[stream.stop(AT) for stream in old],
                new_streams=new,
                events=[an_event(stream.device_id, 2) for stream in [*old, *new]],
                handled=handled,
                published=[event.id for event in earlier],
            )
        )

    await store.transact(work)


@pytest.mark.parametrize("size", [1, 200])
async def test_a_batch_of_any_size_sends_the_same_statements(database_url: str, size: int) -> None:
    async with made_store(database_url) as store:
        old = [a_stream(f"old-{n}", code_from_bits(n)) for n in range(size)]
        earlier = [an_event(stream.device_id, 1) for stream in old]
        known = [Device(id=s.device_id, sequence=1, latest_stream_id=s.id) for s in old]
        await save(store, Changes(at=AT, devices=known, new_streams=old, events=earlier))
        with statements_sent(store) as sent:
            await _batch(store, old, earlier)
        assert sent == (LOAD + (SAVE_AT_ONCE if _is_postgresql(store) else SAVE))


async def _command(store: SqlStore, wanted: Wanted, changes: Changes) -> list[str]:
    async def work(attempt: Attempt) -> None:
        await attempt.load(wanted)
        await attempt.save(changes)

    with statements_sent(store) as sent:
        await store.attempt(work)
    return sent


async def test_one_command_sends_two_statements_to_postgresql(database_url: str) -> None:
    """Reading a stream that is named and is not its device's latest is a third."""
    async with made_store(database_url) as store:
        old, new = a_stream(code=code_from_bits(1)), a_stream(code=code_from_bits(2))
        earlier = [an_event(sequence=1), an_event(sequence=2)]
        device = Device(id="cam-1", sequence=2, latest_stream_id=new.id)
        known = Changes(
            at=AT, devices=[device], new_streams=[old.stop(AT), new], events=earlier, handled=[a_handled("m-0")]
        )
        await save(store, known)
        keys = frozenset({a_handled().identity.key})
        stopping = Changes(
            at=AT,
            devices=[Device(id="cam-1", sequence=3, latest_stream_id=new.id)],
            updated_streams=[new.stop(AT)],
            events=[an_event(sequence=3)],
            handled=[a_handled()],
            published=[event.id for event in earlier],
        )
        stop = await _command(store, Wanted(codes=frozenset({new.code}), keys=keys), stopping)
        answering = Changes(at=AT, handled=[a_handled("m-2")])
        get = await _command(store, Wanted(stream_ids=frozenset({old.id})), answering)
        nothing = await _command(store, Wanted(devices=frozenset({"cam-1"})), Changes(at=AT))
        if _is_postgresql(store):
            assert stop == ["SELECT", "WITH"]
            assert get == ["SELECT", "SELECT streams", "WITH"]
            assert nothing == ["SELECT"]


@pytest.mark.parametrize("size", [1, 200])
async def test_a_sweep_of_any_size_sends_the_same_ten_statements(database_url: str, size: int) -> None:
    async with made_store(database_url) as store:
        left = [an_event(f"cam-{number}") for number in range(2 * size)]
        await save(store, Changes(at=AT, events=left))

        async def sweep(transaction: Transaction) -> int:
            await transaction.sign_in("a", AT)
            refused = {event.device_id: event.sequence for event in left[:size]}
            await transaction.refused(refused, Parking(at=AT, after=2, retry_at=LATER))
            await transaction.save(Changes(at=AT, published=[event.id for event in left[size:]]))
            claim = Claim(worker="a", now=AT, until=LATER, before=LATER, limit=2 * size)
            return len(await transaction.claim(claim))

        with statements_sent(store) as sent:
            assert await store.transact(sweep) == size
        assert sent == SWEEP


async def test_pruning_sends_two_statements_and_without_a_retention_of_events_one(database_url: str) -> None:
    async with made_store(database_url) as store:
        for events_before, expected in ((AT, PRUNE), (None, PRUNE[:1])):
            horizon = Horizon(handled_before=AT, events_before=events_before, limit=10)

            async def prune(transaction: Transaction, horizon: Horizon = horizon) -> int:
                return await transaction.prune(horizon)

            with statements_sent(store) as sent:
                await store.transact(prune)
            assert sent == expected


async def test_a_statement_with_nothing_to_do_is_not_sent(database_url: str) -> None:
    async def nothing(transaction: Transaction) -> None:
        await transaction.load(Wanted())
        await transaction.save(Changes(at=AT))

    async with made_store(database_url) as store:
        with statements_sent(store) as sent:
            await store.transact(nothing)
        assert sent == []


async def test_batches_of_all_sizes_share_their_texts(database_url: str) -> None:
    """Each text is compiled by SQLAlchemy and prepared by the database once."""
    texts: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        texts.add(statement)

    async def transact(size: int) -> None:
        async def work(transaction: Transaction) -> None:
            await transaction.load(
                Wanted(
                    devices=frozenset(f"d-{n}" for n in range(size)),
                    stream_ids=frozenset(UUID(int=n) for n in range(size)),
                    codes=frozenset(code_from_bits(n) for n in range(size)),
                    keys=frozenset(MessageKey(sender="", message_id=f"m-{n}") for n in range(size)),
                )
            )

        await store.transact(work)

    async with made_store(database_url) as store:
        there = [a_stream(f"d-{n}", code_from_bits(n), id_=UUID(int=n)) for n in range(100)]
        await save(store, Changes(at=AT, new_streams=there))
        event.listen(store._engine.sync_engine, "before_cursor_execute", note)
        await transact(1)
        one = set(texts)
        for size in (2, 3, 100):
            await transact(size)
    assert texts == one
    assert len([text for text in texts if "SELECT" in text]) == 5
