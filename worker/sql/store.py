"""The store: one transaction at a time on the pipeline's own connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from worker.service.messages import StoredEvent
from worker.service.ports import (
    Changes,
    CommitUnknown,
    Loaded,
    ServiceError,
    StoreUnavailable,
    Transaction,
    Wanted,
)
from worker.sql.errors import Phase, translated
from worker.sql.load import left_behind, load
from worker.sql.save import save
from worker.sql.shield import to_its_end
from worker.sql.tables import devices

T = TypeVar("T")

_ALIVE: Final = select(devices.c.id).limit(1)  # reads a page of a table; `SELECT 1` would not on SQLite


class SqlTransaction:
    """One transaction on one connection; see `worker.service.ports.Transaction`."""

    def __init__(self, connection: AsyncConnection, *, adopt: Insert) -> None:
        self._connection = connection
        self._adopt = adopt
        self._failure: Exception | None = None

    async def load(self, wanted: Wanted) -> Loaded:
        """Lock the devices that are meant, then read. Raises StoreUnavailable or StoreConflict."""
        with self._statements():
            return await load(self._connection, wanted, adopt=self._adopt)

    async def save(self, changes: Changes) -> None:
        """Write each kind of change in one bulk statement. Raises StoreUnavailable or StoreConflict."""
        with self._statements():
            await save(self._connection, changes)

    async def unpublished(self, *, before: datetime, limit: int, after: str = "") -> Sequence[StoredEvent]:
        """Return what the relay should look at. Raises StoreUnavailable."""
        with self._statements():
            return await left_behind(self._connection, before=before, limit=limit, after=after)

    def check(self) -> None:
        """Raise the error of a statement that failed, if the work kept it to itself.

        PostgreSQL answers COMMIT after a failed statement by rolling back, and calls that a success.
        """
        if self._failure:
            raise self._failure

    @contextmanager
    def _statements(self) -> Iterator[None]:
        try:
            with translated(Phase.WORK):
                yield
        except Exception as error:
            self._failure = error
            raise


class SqlStore:
    """A database as the pipeline sees it; see `worker.service.ports.Store`. `make_store` makes one.

    Safe to call from several tasks: they take turns. `transaction_timeout_s` and `commit_timeout_s` are the very
    last resort, for when the database's and the driver's own deadlines fail.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        reader: AsyncEngine | None,
        adopt: Insert,
        transaction_timeout_s: float,
        commit_timeout_s: float,
        ping_timeout_s: float,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._adopt = adopt
        self._transaction_timeout_s = transaction_timeout_s
        self._commit_timeout_s = commit_timeout_s
        self._ping_timeout_s = ping_timeout_s
        self._turn = asyncio.Lock()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work in one transaction and commit it; roll back where the work raises.

        Cancelling the caller does not cut the transaction short. Raises StoreUnavailable, StoreConflict or
        CommitUnknown; whatever else the work raises passes through.
        """
        return await to_its_end(self._transact(work), name="sql.transaction")

    async def ping(self) -> None:
        """Ask the database for an answer, beside the pipeline. Raises StoreUnavailable, for an unmigrated one too.

        A database in this process's memory has one connection, and answers as long as we do.
        """
        if self._reader is not None:
            await to_its_end(self._ping(self._reader), name="sql.ping")

    async def close(self) -> None:
        """Let a running transaction end, then close all connections. Idempotent."""
        async with self._turn:
            for engine in (self._engine, self._reader):
                if engine is not None:
                    await engine.dispose()

    async def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._turn, self._connected() as connection:
            async with _within(self._transaction_timeout_s, StoreUnavailable):
                with translated(Phase.CONNECT):
                    await connection.begin()
                transaction = SqlTransaction(connection, adopt=self._adopt)
                result = await work(transaction)
                transaction.check()
            async with _within(self._commit_timeout_s, CommitUnknown):
                with translated(Phase.COMMIT):
                    await connection.commit()
            return result

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that goes back to the pool clean, or not at all."""
        async with _within(self._transaction_timeout_s, StoreUnavailable):
            with translated(Phase.CONNECT):
                connection = await self._engine.connect()
        try:
            yield connection
        except BaseException as error:
            await _end(connection, error)
            raise
        finally:
            await connection.close()

    async def _ping(self, reader: AsyncEngine) -> None:
        try:
            async with _within(self._ping_timeout_s, StoreUnavailable), reader.connect() as connection:
                await connection.execute(_ALIVE)
        except (SQLAlchemyError, OSError) as error:
            raise StoreUnavailable(f"no answer from the database: {type(error).__name__}") from error


async def _end(connection: AsyncConnection, error: BaseException) -> None:
    """Roll back while the session answers; else drop it, for who knows what still runs in it."""
    silent = isinstance(error, asyncio.CancelledError | CommitUnknown) or isinstance(error.__cause__, OSError)
    if not silent:
        try:
            await connection.rollback()
        except (SQLAlchemyError, OSError):
            silent = True
    if silent:
        await connection.invalidate()


@asynccontextmanager
async def _within(limit_s: float, error: type[ServiceError]) -> AsyncIterator[None]:
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            yield
    except TimeoutError as late:
        if not scope.expired():
            raise  # the work's own
        raise error(f"the database took longer than {limit_s:g} s") from late
