"""The store: one transaction at a time on the pipeline's own connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from worker.service.ports import Attempt, CommitUnknown, ServiceError, StoreUnavailable, Transaction
from worker.sql.attempt import SqlAttempt
from worker.sql.errors import Phase, translated
from worker.sql.idiom import Idiom
from worker.sql.shield import to_its_end
from worker.sql.tables import devices
from worker.sql.transaction import SqlTransaction

T = TypeVar("T")

_ALIVE: Final = select(devices.c.id).limit(1)  # reads a page of a table; `SELECT 1` would not on SQLite


class SqlStore:
    """A database as the pipeline sees it; see `worker.service.ports.Store`. `make_store` makes one.

    Safe to call from several tasks: they take turns. `transaction_timeout_s` and `commit_timeout_s` are the very
    last resort, for when the database's and the driver's own deadlines fail.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        autocommit: AsyncEngine | None,
        reader: AsyncEngine | None,
        idiom: Idiom,
        transaction_timeout_s: float,
        commit_timeout_s: float,
        ping_timeout_s: float,
    ) -> None:
        self._engine = engine
        self._autocommit = autocommit
        self._reader = reader
        self._idiom = idiom
        self._transaction_timeout_s = transaction_timeout_s
        self._commit_timeout_s = commit_timeout_s
        self._ping_timeout_s = ping_timeout_s
        self._kept: AsyncConnection | None = None
        self._turn = asyncio.Lock()

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work in one transaction and commit it; roll back where the work raises.

        Cancelling the caller does not cut the transaction short. Raises StoreUnavailable, StoreConflict or
        CommitUnknown; whatever else the work raises passes through.
        """
        return await to_its_end(self._transact(work), name="sql.transaction")

    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        """Run the work for one command without holding anything, where that saves round trips; else in a
        transaction. Raises what `transact` does.
        """
        if self._autocommit is None:
            return await self.transact(work)
        return await to_its_end(self._attempt(self._autocommit, work), name="sql.attempt")

    async def ping(self) -> None:
        """Ask the database for an answer, beside the pipeline. Raises StoreUnavailable, for an unmigrated one too.

        A database in this process's memory has one connection, and answers as long as we do.
        """
        if self._reader is not None:
            await to_its_end(self._ping(self._reader), name="sql.ping")

    async def close(self) -> None:
        """Let a running transaction end, then close all connections. Idempotent."""
        async with self._turn:
            await self._give_back()
            for engine in (self._engine, self._reader):
                if engine is not None:
                    await engine.dispose()

    async def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._turn, self._connected() as connection:
            async with _within(self._transaction_timeout_s, StoreUnavailable):
                with translated(Phase.CONNECT):
                    await connection.begin()
                transaction = SqlTransaction(connection, idiom=self._idiom)
                result = await work(transaction)
                transaction.check()
            async with _within(self._commit_timeout_s, CommitUnknown):
                with translated(Phase.COMMIT):
                    await connection.commit()
            return result

    async def _attempt(self, autocommit: AsyncEngine, work: Callable[[Attempt], Awaitable[T]]) -> T:
        limit_s = self._transaction_timeout_s
        async with self._turn, self._kept_connection(autocommit) as connection, _within(limit_s, CommitUnknown):
            return await work(SqlAttempt(connection))

    @asynccontextmanager
    async def _kept_connection(self, autocommit: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that stays out of the pool until a transaction wants it, or something goes wrong: to
        take it out and to put it back takes half as long as a statement.
        """
        connection = self._kept or await self._connect(autocommit)
        self._kept = None
        try:
            yield connection
        except BaseException as error:
            await _end(connection, error)
            await connection.close()
            raise
        self._kept = connection

    async def _give_back(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that goes back to the pool clean, or not at all."""
        await self._give_back()
        connection = await self._connect(self._engine)
        try:
            yield connection
        except BaseException as error:
            await _end(connection, error)
            raise
        finally:
            await connection.close()

    async def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        async with _within(self._transaction_timeout_s, StoreUnavailable):
            with translated(Phase.CONNECT):
                return await engine.connect()

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
