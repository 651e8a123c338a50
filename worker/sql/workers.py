"""Who is at work."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.sql.tables import workers
from worker.sql.unlocked import unlocked

FORGOTTEN_AFTER: Final = timedelta(days=1)

_other: Final = workers.alias("other")
_FORGET: Final = delete(workers).where(
    unlocked(workers, select(_other.c.name).where(_other.c.seen_at < bindparam("before")))
)


async def sign_in(
    connection: AsyncConnection, worker: str, at: datetime, *, insert: Callable[[Table], Any]
) -> None:
    """Write the worker's row, and drop those of workers that have not been seen for a day."""
    signing = insert(workers).values(name=worker, seen_at=at)
    seen_now = {"seen_at": signing.excluded.seen_at}
    await connection.execute(signing.on_conflict_do_update(index_elements=["name"], set_=seen_now))
    await connection.execute(_FORGET, {"before": at - FORGOTTEN_AFTER})
