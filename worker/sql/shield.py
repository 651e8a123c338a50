"""Work that is not cut short."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """Run the work in a task of its own and wait until it has ended, cancelled or not.

    Where the caller is cancelled meanwhile, CancelledError is raised after the end, and what came of the work is
    dropped. The drivers leave a connection in an unknown state when they are cancelled inside a statement, so
    nothing but a deadline inside the work itself may do that.
    """
    task = asyncio.create_task(work, name=name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])  # unlike awaiting the task, this does not pass a cancellation on
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return task.result()
    raise cancelled from (None if task.cancelled() else task.exception())
