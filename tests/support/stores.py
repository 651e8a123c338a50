"""Real stores for tests, with their tables made."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from sqlalchemy import text

from worker.sql.engine import StoreOptions, make_store
from worker.sql.store import SqlStore
from worker.sql.tables import metadata


@asynccontextmanager
async def made_store(url: str, *, options: StoreOptions | None = None) -> AsyncIterator[SqlStore]:
    """Make the store of a database, its tables from the metadata, and close it at the end.

    A PostgreSQL database is emptied before: tests may share one, which is much faster than making one each.
    """
    async with opened_store(url, options=options) as store:
        async with store._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                await connection.execute(text("DROP SCHEMA public CASCADE"))
                await connection.execute(text("CREATE SCHEMA public"))
            await connection.run_sync(metadata.create_all)
        yield store


@asynccontextmanager
async def opened_store(url: str, *, options: StoreOptions | None = None) -> AsyncIterator[SqlStore]:
    """Make the store of a database that has its tables, or is away, and close it at the end."""
    store = make_store(url, options=options or StoreOptions())
    try:
        yield store
    finally:
        await store.close()


def memory_store() -> AbstractAsyncContextManager[SqlStore]:
    """Make a fresh SQLite database in memory, which takes milliseconds."""
    return made_store("sqlite+aiosqlite://")
