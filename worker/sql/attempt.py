"""One command without a transaction around it: what it reads is one statement, and what it writes another."""

from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.ports import StoreConflict
from worker.service.stored import Changes, Loaded, Wanted
from worker.sql.errors import Phase, translated
from worker.sql.load_one import load_one
from worker.sql.save_one import save_one


class SqlAttempt:
    """One attempt on one connection, each of whose statements commits itself; see `worker.service.ports.Attempt`.

    Nothing is held between the two: the one that writes makes sure that the device is as it was read, or writes
    nothing.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._loaded = Loaded()

    async def load(self, wanted: Wanted) -> Loaded:
        """Read what one command wants. Raises StoreUnavailable."""
        with translated(Phase.WORK):
            self._loaded = await load_one(self._connection, wanted)
        return self._loaded

    async def save(self, changes: Changes) -> None:
        """Write everything that changed and commit it. Raises StoreUnavailable, StoreConflict or CommitUnknown."""
        with translated(Phase.COMMIT):
            is_saved = await save_one(self._connection, changes, known=self._loaded.devices)
        if not is_saved:
            raise StoreConflict("the device changed between the reading and the writing")
