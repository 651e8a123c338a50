"""What a batch writes, and how SQLite is told: each kind of change in one bulk statement."""

from dataclasses import dataclass
from operator import itemgetter
from typing import Final, Self
from uuid import UUID

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Changes
from worker.sql.rows import Values, event_values, handled_values, stream_values
from worker.sql.tables import devices, handled_commands, stream_events, streams

_DEVICE: Final = update(devices).where(devices.c.id == bindparam("key"))
STREAM: Final = update(streams).where(streams.c.id == bindparam("key"))
_BEGAN: Final = insert(streams)
_EVENT: Final = insert(stream_events)
_HANDLED: Final = insert(handled_commands)
_MARK: Final = update(stream_events).where(
    stream_events.c.event_id == bindparam("key"), stream_events.c.published_at.is_(None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The values of what changes; of a row that is there already, `key` says which.

    Rows that two workers can both want although they hold different devices (a code, a message id, a mark) come in
    sorted order, so that the workers wait for each other in one direction only.
    """

    devices: list[Values]
    ended: list[Values]
    began: list[Values]
    events: list[Values]
    handled: list[Values]
    marked: list[UUID]

    @classmethod
    def of(cls, changes: Changes) -> Self:
        """Write down a batch's changes."""
        return cls(
            devices=[
                {"key": device.id, "sequence": device.sequence, "latest_stream_id": device.latest_stream_id}
                for device in changes.devices
            ],
            ended=[
                {"key": it.id, "status": it.status.value, "stopped_at": it.stopped_at, "version": it.version}
                for it in changes.updated_streams
            ],
            began=sorted(map(stream_values, changes.new_streams), key=itemgetter("code")),
            events=[event_values(event) for event in changes.events],
            handled=sorted(map(handled_values, changes.handled), key=itemgetter("sender", "message_id")),
            marked=sorted(set(changes.published)),
        )


async def save(connection: AsyncConnection, changes: Changes) -> None:
    """Write everything; a kind without changes sends no statement.

    The order is part of it. Streams that ended come before those that began, because a device has one active
    stream at a time in the database too. None of the statements returns rows: SQLAlchemy would then send one
    statement a row.
    """
    rows = Rows.of(changes)
    marks = [{"key": id_, "published_at": changes.at} for id_ in rows.marked]
    for statement, values in (
        (_DEVICE, rows.devices),
        (STREAM, rows.ended),
        (_BEGAN, rows.began),
        (_EVENT, rows.events),
        (_HANDLED, rows.handled),
        (_MARK, marks),
    ):
        if values:
            await connection.execute(statement, values)
