"""A store in which whatever has to do with certain devices fails, as a value does that a database cannot take."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from typing_extensions import override

from worker.service.ports import Attempt, Store, Transaction
from worker.service.stored import Loaded, Wanted

T = TypeVar("T")


class Cursed(Exception):
    """What no adapter translates: the fault of a command."""


class _CursedTransaction:
    def __init__(self, transaction: Any, store: "CursedStore") -> None:
        self._transaction = transaction
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    async def load(self, wanted: Wanted) -> Loaded:
        self._store.loads.append(sorted(wanted.devices | wanted.creating))
        for device_id in sorted(wanted.devices | wanted.creating):
            if self._store.curses.get(device_id, 0) > 0:
                self._store.curses[device_id] -= 1
                raise self._store.error
        loaded: Loaded = await self._transaction.load(wanted)
        return loaded


class CursedStore(Store):
    """Passes everything on, but `curses` says how often more a device makes its batch fail.

    `loads` has the devices of each batch that was tried.
    """

    def __init__(self, store: Store, *, error: Exception | None = None, **curses: int) -> None:
        self._store = store
        self.error = error or Cursed("value out of range")
        self.curses = curses
        self.loads: list[list[str]] = []

    @override
    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        async def cursed(attempt: Attempt) -> T:
            return await work(_CursedTransaction(attempt, self))

        return await self._store.attempt(cursed)

    @override
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async def cursed(transaction: Transaction) -> T:
            return await work(_CursedTransaction(transaction, self))

        return await self._store.transact(cursed)
