"""A store in front of another, that can be told to fail or to wait."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from typing_extensions import override

from worker.service.ports import Attempt, Store, Transaction
from worker.service.stored import Changes, Loaded, Wanted

T = TypeVar("T")


async def _nothing() -> None:
    await asyncio.sleep(0)


class _RolledBack(Exception):
    """Has any store roll back, and say nothing else about it."""


class _Between:
    """Lets something happen after everything is decided, and before it is saved."""

    def __init__(self, attempt: Attempt, meanwhile: Callable[[], Awaitable[object]], *, is_saved: bool) -> None:
        self._attempt = attempt
        self._meanwhile = meanwhile
        self._is_saved = is_saved

    async def load(self, wanted: Wanted) -> Loaded:
        return await self._attempt.load(wanted)

    async def save(self, changes: Changes) -> None:
        await self._meanwhile()
        if not self._is_saved:
            raise _RolledBack
        await self._attempt.save(changes)


class FailingStore(Store):
    """Passes everything on, but for the failures it was asked for, and counts the transactions. Attempts count
    too, and on their own besides.

    `meanwhile` is awaited in every transaction after its work and before its commit, and in every attempt before
    its changes are saved.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failures: deque[tuple[Exception, bool]] = deque()
        self.transactions = 0
        self.attempts = 0
        self.meanwhile: Callable[[], Awaitable[object]] = _nothing

    def fail_next(self, error: Exception, *, saved: bool = False) -> None:
        """Have the next transaction fail at its end; call again for the one after it. With `saved` everything
        is saved nevertheless, and only the answer is lost.
        """
        self._failures.append((error, saved))

    def recover(self) -> None:
        """Forget the failures to come: a worker that has nothing to do meets none of them."""
        self._failures.clear()

    @override
    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        self.attempts += 1
        error, saved = self._next()

        async def all_of_it(attempt: Attempt) -> T:
            return await work(_Between(attempt, self.meanwhile, is_saved=saved))

        return await self._failing(self._store.attempt(all_of_it), error)

    @override
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        error, saved = self._next()

        async def all_of_it(transaction: Transaction) -> T:
            result = await work(transaction)
            await self.meanwhile()
            if not saved:
                raise _RolledBack
            return result

        return await self._failing(self._store.transact(all_of_it), error)

    def _next(self) -> tuple[Exception | None, bool]:
        self.transactions += 1
        return self._failures.popleft() if self._failures else (None, True)

    async def _failing(self, run: Awaitable[T], error: Exception | None) -> T:
        try:
            result = await run
        except _RolledBack:
            assert error is not None
            raise error from None
        if error is not None:
            raise error
        return result
