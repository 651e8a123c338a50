"""What every await on the broker is wrapped in."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiormq.exceptions import AMQPError, ChannelInvalidStateError

from worker.service.ports import EpochOver

# What a connection that is gone looks like. ChannelInvalidStateError is a RuntimeError and no AMQPError, and
# aiormq's frame reader says StopAsyncIteration where the peer hung up before it began to read.
GONE: Final = (AMQPError, ChannelInvalidStateError, OSError, EOFError, StopAsyncIteration)

_OBJECT_ADDRESS: Final = re.compile(r" object at 0x[0-9a-f]+")


@asynccontextmanager
async def deadline(doing: str, timeout_s: float) -> AsyncIterator[None]:
    """Give what is inside this many seconds. Raises EpochOver where the broker fails or says nothing.

    aiormq raises CancelledError in tasks that nobody cancelled when a heartbeat is missed; without the last
    clause such a task would end in silence.
    """
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as late:
        raise EpochOver(f"{doing}: no answer within {timeout_s:g} s") from late
    except GONE as broken:
        raise EpochOver(f"{doing}: {reason(broken)}") from broken
    except Exception as broken:
        if type(broken) is not Exception:
            raise
        # No more than that says aiormq to all that is under way where the peer hung up between two frames.
        raise EpochOver(f"{doing}: the connection was closed") from broken
    except asyncio.CancelledError as cancelled:
        if was_cancelled():
            raise
        raise EpochOver(f"{doing}: the connection was given up") from cancelled


def was_cancelled() -> bool:
    """Whether somebody cancelled the current task, as opposed to a library that only says so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def reason(error: BaseException) -> str:
    """One line about an error, without addresses of objects and without secrets."""
    text = " ".join(str(part) for part in error.args if isinstance(part, str | int))
    return f"{type(error).__name__} {_OBJECT_ADDRESS.sub('', text)}".strip()
