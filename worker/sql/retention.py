"""Forgetting: a little at a time, the oldest first, and never what somebody else holds."""

from typing import Any, Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Horizon
from worker.sql.tables import handled_commands, stream_events
from worker.sql.unlocked import unlocked


async def prune(connection: AsyncConnection, horizon: Horizon) -> int:
    """Delete at most `limit` handled commands and at most as many published events; return how many rows went.

    Both are found by an index on their time: a look that finds nothing costs nothing, however long the history is.
    An event is never forgotten for its age alone: until it is known to be published, it stays.
    """
    gone = await _delete(connection, _HANDLED, horizon.handled_before, horizon.limit)
    if horizon.events_before is not None:
        gone += await _delete(connection, _EVENTS, horizon.events_before, horizon.limit)
    return gone


async def _delete(connection: AsyncConnection, statement: Any, before: object, limit: int) -> int:
    result = await connection.execute(statement, {"before": before, "at_most": limit})
    return int(result.rowcount)


_handled: Final = handled_commands.alias("old")
_HANDLED: Final = delete(handled_commands).where(
    unlocked(
        handled_commands,
        select(_handled.c.sender, _handled.c.message_id)
        .where(_handled.c.handled_at < bindparam("before"))
        .order_by(_handled.c.handled_at)
        .limit(bindparam("at_most")),
    )
)

_event: Final = stream_events.alias("old")
_EVENTS: Final = delete(stream_events).where(
    unlocked(
        stream_events,
        select(_event.c.device_id, _event.c.sequence)
        .where(_event.c.published_at.is_not(None), _event.c.at < bindparam("before"))
        .order_by(_event.c.at)
        .limit(bindparam("at_most")),
    )
)
