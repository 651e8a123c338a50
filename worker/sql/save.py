"""What a batch writes, and how SQLite is told: each kind of change in one bulk statement."""

from operator import itemgetter
from typing import Final

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Changes
from worker.sql.rows import Values, event_values, handled_values, stream_values
from worker.sql.tables import devices, handled_commands, stream_events, streams

_DEVICE: Final = update(devices).where(devices.c.id == bindparam("key"))
ENDED: Final = update(streams).where(streams.c.id == bindparam("key"))
_BEGAN: Final = insert(streams)
_EVENT: Final = insert(stream_events)
_HANDLED: Final = insert(handled_commands)
_MARK: Final = update(stream_events).where(
    stream_events.c.event_id == bindparam("key"), stream_events.c.published_at.is_(None)
)
_STATEMENTS: Final = {
    "devices": _DEVICE,
    "ended": ENDED,
    "began": _BEGAN,
    "events": _EVENT,
    "handled": _HANDLED,
    "marks": _MARK,
}


def rows_of(changes: Changes) -> dict[str, list[Values]]:
    """Return the rows of each kind that has any; `key` says which of those that are there is meant.

    The order is part of it. Streams that ended come before those that began, because a device has one active
    stream at a time in the database too. Rows that two workers can both want although they hold different devices
    (a code, a message id, a mark) come in sorted order, and the marks last, so that the workers wait for each
    other in one direction only.
    """
    rows: dict[str, list[Values]] = {
        "devices": [
            {"key": device.id, "sequence": device.sequence, "latest_stream_id": device.latest_stream_id}
            for device in changes.devices
        ],
        "ended": [
            {"key": one.id, "status": one.status.value, "stopped_at": one.stopped_at, "version": one.version}
            for one in changes.updated_streams
        ],
        "began": sorted(map(stream_values, changes.new_streams), key=itemgetter("code")),
        "events": [event_values(event) for event in changes.events],
        "handled": sorted(map(handled_values, changes.handled), key=itemgetter("sender", "message_id")),
        "marks": [{"key": id_, "published_at": changes.at} for id_ in sorted(set(changes.published))],
    }
    return {kind: of_kind for kind, of_kind in rows.items() if of_kind}


async def save(connection: AsyncConnection, changes: Changes) -> None:
    """Write everything, each kind in a statement of its own. None of them returns rows: SQLAlchemy would then send
    one statement a row.
    """
    for kind, rows in rows_of(changes).items():
        await connection.execute(_STATEMENTS[kind], rows)
