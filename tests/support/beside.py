"""A PostgreSQL database seen, and meddled with, beside the pipeline of a store."""

import asyncio
from typing import Any, Final

from sqlalchemy import text

from tests.support.store_suite import PATIENCE_S
from worker.sql.store import SqlStore

HERE: Final = "datname = current_database()"


async def run_beside(store: SqlStore, *statements: str) -> Any:
    """Run statements in a transaction of their own, and return what the last one says."""
    assert store._reader
    said = None
    async with store._reader.begin() as connection:
        for statement in statements:
            result = await connection.execute(text(statement))
            said = result.scalar() if result.returns_rows else None
    return said


async def until(store: SqlStore, question: str) -> None:
    """Ask, each time in a new transaction, until the answer is yes."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await run_beside(store, question):
                return
            await asyncio.sleep(0.01)


async def waits_for_a_lock(store: SqlStore) -> None:
    """Wait until somebody waits for a lock in this database."""
    blocked = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
    await until(store, blocked + HERE)


async def end_sessions(store: SqlStore) -> None:
    """End all others as an administrator does."""
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
    await run_beside(store, others + HERE)


async def at_commit(store: SqlStore, do: str) -> None:
    """Have the database do something in the middle of every COMMIT that saves a stream: PL/pgSQL statements."""
    await _on_new_stream(store, do, "CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED")


async def at_insert(store: SqlStore, do: str) -> None:
    """Have the database do something in the middle of every statement that saves a stream."""
    await _on_new_stream(store, do, "TRIGGER", "")


async def _on_new_stream(store: SqlStore, do: str, kind: str, when: str) -> None:
    await run_beside(
        store,
        f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {do}; RETURN NULL; END $$",
        f"CREATE {kind} meddle AFTER INSERT ON streams {when} FOR EACH ROW EXECUTE FUNCTION meddle()",
    )


async def no_more(store: SqlStore) -> None:
    """End that."""
    await run_beside(store, "DROP TRIGGER meddle ON streams")
