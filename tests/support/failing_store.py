"""A store in front of another, that can be told to fail or to wait."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from typing_extensions import override

from worker.service.ports import Store, Transaction

T = TypeVar("T")


async def _nothing() -> None:
    await asyncio.sleep(0)


class _RolledBack(Exception):
    """Has any store roll back, and say nothing else about it."""


class FailingStore(Store):
    """Passes everything on, but for the failures it was asked for, and counts the transactions.

    `meanwhile` is awaited in every transaction after its work and before its commit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._failures: deque[tuple[Exception, bool]] = deque()
        self.transactions = 0
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
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        self.transactions += 1
        error, saved = self._failures.popleft() if self._failures else (None, True)

        async def all_of_it(transaction: Transaction) -> T:
            result = await work(transaction)
            await self.meanwhile()
            if not saved:
                raise _RolledBack
            return result

        try:
            result = await self._store.transact(all_of_it)
        except _RolledBack:
            assert error is not None
            raise error from None
        if error is not None:
            raise error
        return result
