"""However much there is, what is looked for is found by an index: the databases say how they would do it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy import event, insert, text

from tests.support.store_suite import AT, a_handled, a_stream, an_event
from tests.support.store_suite_relay import claim, refuse
from tests.support.store_suite_upkeep import prune
from tests.support.stores import made_store
from worker.domain.code import code_from_bits
from worker.service.ports import Attempt, Transaction
from worker.service.stored import UNPUBLISHED_MAX, Changes, Wanted
from worker.sql.load_one import reading
from worker.sql.rows import event_values, handled_values, stream_values
from worker.sql.store import SqlStore
from worker.sql.tables import devices, handled_commands, stream_events, streams

DEVICES: Final = 400
EACH: Final = 20
HOT: Final = 2_000
IDLE: Final = 20_000
LONG_AFTER: Final = AT + timedelta(days=365)


def _after(minutes: int) -> datetime:
    return AT + timedelta(minutes=minutes)


async def _fill(store: SqlStore) -> None:
    """Have a history of published events, a few that are not, and a device with very many that are not."""
    ids = [f"cam-{number:04}" for number in range(DEVICES)]
    rows = [
        event_values(an_event(id_, n + 1, at=_after(n))) | {"published_at": AT} for id_ in ids for n in range(EACH)
    ]
    left = [event_values(an_event(id_, EACH + 1, at=_after(EACH))) for id_ in ids[::10]]
    hot = [event_values(an_event("hot", n + 1, at=_after(n))) for n in range(HOT)]
    answers = [handled_values(a_handled(f"m-{n}", at=_after(n))) for n in range(DEVICES * EACH)]
    idle = [f"idle-{n}" for n in range(IDLE)]
    async with store._engine.begin() as connection:
        await connection.execute(insert(devices), [{"id": id_, "sequence": 0} for id_ in [*ids, *idle, "hot"]])
        await connection.execute(insert(stream_events), rows)
        await connection.execute(insert(stream_events), [*left, *hot])
        await connection.execute(insert(handled_commands), answers)
        await connection.execute(
            insert(streams), [stream_values(a_stream(id_, code_from_bits(n))) for n, id_ in enumerate(idle)]
        )
        await connection.execute(text("ANALYZE"))


@contextmanager
def _plans(store: SqlStore) -> Iterator[list[str]]:
    """Collect how the database would do each statement that is sent, one text each."""
    plans: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if store._engine.dialect.name == "sqlite" else "EXPLAIN "

    def note(connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:  # noqa: FBT001 - SQLAlchemy calls it
        if statement.startswith(("EXPLAIN", "BEGIN")):
            return
        one: Sequence[Any] = parameters[0] if many else parameters
        rows = connection.exec_driver_sql(explain + statement, tuple(one)).all()
        plans.append(statement + "\n" + "\n".join(str(row[-1]) for row in rows))

    event.listen(store._engine.sync_engine, "before_cursor_execute", note)
    try:
        yield plans
    finally:
        event.remove(store._engine.sync_engine, "before_cursor_execute", note)


def _read_whole(plan: str) -> set[str]:
    """Return the big tables that a plan would read from one end to the other."""
    big = ("stream_events", "handled_commands", "devices", "streams")
    aliases = ("waiting", "lower", "old")
    whole = set()
    for line in plan.splitlines():
        words = line.split()
        if "Seq Scan on" in line:
            whole.add(words[words.index("on") + 1])
        elif "SCAN" in words and "INDEX" not in words:
            whole.add(words[words.index("SCAN") + 1])
    return whole & {*big, *aliases}


async def test_no_statement_reads_a_big_table_from_end_to_end(database_url: str) -> None:
    async def batch(transaction: Transaction) -> int:
        ids = frozenset({"hot", "cam-0010", "cam-0011"})
        keys = frozenset({a_handled().identity.key})
        stream_ids, codes = frozenset({uuid4()}), frozenset({code_from_bits(7)})
        wanted = Wanted(devices=ids, keys=keys, stream_ids=stream_ids, codes=codes)
        loaded = await transaction.load(wanted)
        assert loaded.cut == {"hot"}
        assert [stream.code for stream in loaded.streams] == [code_from_bits(7)]
        return len(loaded.unpublished)

    async with made_store(database_url) as store:
        await _fill(store)
        with _plans(store) as plans:
            assert await store.transact(batch) == UNPUBLISHED_MAX + 1
            assert len(await claim(store, now=LONG_AFTER, limit=30)) == 30
            assert len(await claim(store, now=LONG_AFTER, limit=30, after="cam-0290")) == 30
            await refuse(store, {"hot": 1, "cam-0010": EACH + 1})
            assert await prune(store, handled=LONG_AFTER, events=LONG_AFTER, limit=20) == 40
            assert await prune(store, handled=AT, events=AT) == 0
    assert len(plans) == 19
    assert [plan for plan in plans if _read_whole(plan)] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_one_command_reads_no_big_table_from_end_to_end_and_finds_what_it_writes(database_url: str) -> None:
    mine = a_handled("mine")

    async def command(attempt: Attempt) -> None:
        codes, keys = frozenset({code_from_bits(7)}), frozenset({mine.identity.key})
        loaded = await attempt.load(Wanted(codes=codes, keys=keys))
        (stream,), (device,) = loaded.streams, loaded.devices
        await attempt.save(
            Changes(
                at=AT,
                devices=[replace(device, sequence=1)],
                updated_streams=[stream.stop(AT)],
                events=[an_event(device.id, 1)],
                handled=[mine],
                published=[uuid4() for _ in range(5)],
            )
        )

    async with made_store(database_url) as store:
        await _fill(store)
        with _plans(store) as plans:
            await store.attempt(command)
    assert len(plans) == 3
    assert [plan for plan in plans if _read_whole(plan)] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("by", ["device_id", "stream_id", "code"])
@pytest.mark.parametrize("is_full", [True, False])
async def test_what_one_command_reads_is_found_by_indexes_by_a_plan_that_is_kept(
    database_url: str, by: str, *, is_full: bool
) -> None:
    """PostgreSQL plans it for whatever is asked, and keeps that, also from when the tables were empty."""
    async with made_store(database_url) as store:
        if is_full:
            await _fill(store)
        statement = reading(by).compile(dialect=store._engine.dialect)
        nothing = ", ".join(["NULL"] * len(statement.positiontup or ()))
        async with store._engine.connect() as connection:
            await connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
            await connection.exec_driver_sql(f"PREPARE one AS {statement}")
            rows = (await connection.exec_driver_sql(f"EXPLAIN EXECUTE one ({nothing})")).all()
        plan = "\n".join(str(row[0]) for row in rows)
    assert "ix_stream_events_unpublished" in plan
    assert not _read_whole(plan)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Seq Scan on stream_events waiting  (cost=0.00..1.00)", {"stream_events"}),
        ("  ->  Index Scan using pk_devices on devices", set()),
        ("SCAN handled_commands", {"handled_commands"}),
        ("SEARCH stream_events USING INDEX ix (at<?)", set()),
        ("SCAN relayed_devices", set()),
    ],
)
def test_a_plan_that_reads_a_whole_table_is_noticed(line: str, found: set[str]) -> None:
    assert _read_whole(line) == found
