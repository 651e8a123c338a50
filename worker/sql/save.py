"""What a batch writes: each kind of change in one bulk statement."""

from typing import Final

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Changes
from worker.sql.rows import event_values, handled_values, stream_values
from worker.sql.tables import devices, handled_commands, stream_events, streams

_DEVICE: Final = update(devices).where(devices.c.id == bindparam("key"))
_STREAM: Final = update(streams).where(streams.c.id == bindparam("key"))
_BEGAN: Final = insert(streams)
_EVENT: Final = insert(stream_events)
_HANDLED: Final = insert(handled_commands)
_MARK: Final = update(stream_events).where(
    stream_events.c.event_id == bindparam("key"), stream_events.c.published_at.is_(None)
)


async def save(connection: AsyncConnection, changes: Changes) -> None:
    """Write everything; a kind without changes sends no statement.

    The order is part of it. Streams that ended come before those that began, because a device has one active
    stream at a time in the database too. Rows that two workers can both want although they hold different
    devices (a code, a message id, a mark) are written in sorted order, and the marks last, so that the workers
    wait in one direction only. None of the statements returns rows: SQLAlchemy would then send one statement a
    row.
    """
    device_rows = [
        {"key": device.id, "sequence": device.sequence, "latest_stream_id": device.latest_stream_id}
        for device in changes.devices
    ]
    ended = [
        {"key": ended.id, "status": ended.status.value, "stopped_at": ended.stopped_at, "version": ended.version}
        for ended in changes.updated_streams
    ]
    began = [stream_values(stream) for stream in sorted(changes.new_streams, key=lambda stream: stream.code)]
    events = [event_values(event) for event in changes.events]
    handled = sorted(map(handled_values, changes.handled), key=lambda row: (row["sender"], row["message_id"]))
    marks = [{"key": id_, "published_at": changes.at} for id_ in sorted(set(changes.published))]
    for statement, rows in (
        (_DEVICE, device_rows),
        (_STREAM, ended),
        (_BEGAN, began),
        (_EVENT, events),
        (_HANDLED, handled),
        (_MARK, marks),
    ):
        if rows:
            await connection.execute(statement, rows)
