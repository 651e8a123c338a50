"""The one edge at which the client library's errors stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelClosed,
    ChannelInvalidStateError,
    IncompatibleProtocolError,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ConnectionNotAllowed
from pamqp.exceptions import PAMQPException

from stream_client.errors import StreamMisconfigured

_REFUSALS: Final = (
    AuthenticationError,
    ChannelClosed,
    ConnectionNotAllowed,
    IncompatibleProtocolError,
    ProbableAuthenticationError,
)
_LOSSES: Final = (OSError, EOFError, StopAsyncIteration, AMQPError, ChannelInvalidStateError, PAMQPException)


class LinkLost(Exception):
    """The connection is gone. Whether what was under way arrived is unknown."""


class LinkSlow(LinkLost):
    """The broker did not answer in time. Whether what was under way arrived is unknown."""


@asynccontextmanager
async def broker_call(within_s: float) -> AsyncIterator[None]:
    """Run calls to the broker under a deadline.

    Raises StreamMisconfigured where the broker refuses them, LinkSlow where the deadline passed, LinkLost for
    everything else that goes wrong.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except asyncio.CancelledError as error:
        # When a heartbeat fails, the library raises this in tasks that nobody cancelled. Taken for a real
        # cancellation it would silently end them.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise LinkLost("the connection died") from error
    except _REFUSALS as error:
        raise StreamMisconfigured(f"the broker refuses: {_text(error)}") from error
    except TimeoutError as error:
        raise LinkSlow(f"no answer within {within_s:.1f} s") from error
    except _LOSSES as error:
        raise LinkLost(_text(error)) from error
    except Exception as error:
        # No more than that says the library to all that is under way when the peer closes between two frames.
        if type(error) is Exception:
            raise LinkLost("the connection was closed") from error
        raise


def _text(error: BaseException) -> str:
    """Return what there is to read; some of these errors have no text at all."""
    return str(error) or type(error).__name__
