"""Rows and values: each table's mapping, by hand, in both directions."""

from typing import Any

from sqlalchemy import Row

from worker.domain.roster import Device
from worker.domain.stream import Status, Stream
from worker.service.messages import Answer, Handled, Identity, MessageKey, StoredEvent

Values = dict[str, Any]


def device_from(row: Row[Any]) -> Device:
    """Read a row of `devices`."""
    return Device(id=row.id, sequence=row.sequence, latest_stream_id=row.latest_stream_id)


def stream_from(row: Row[Any]) -> Stream:
    """Read a row of `streams`."""
    return Stream(
        id=row.id,
        device_id=row.device_id,
        code=row.code,
        status=Status(row.status),
        created_at=row.created_at,
        stopped_at=row.stopped_at,
        version=row.version,
    )


def stream_values(stream: Stream) -> Values:
    """Write a row of `streams`."""
    return {
        "id": stream.id,
        "device_id": stream.device_id,
        "code": stream.code,
        "status": stream.status.value,
        "created_at": stream.created_at,
        "stopped_at": stream.stopped_at,
        "version": stream.version,
    }


def event_from(row: Row[Any]) -> StoredEvent:
    """Read a row of `stream_events`."""
    return StoredEvent(
        id=row.event_id,
        device_id=row.device_id,
        sequence=row.sequence,
        type=row.type,
        at=row.at,
        body=row.body,
    )


def event_values(event: StoredEvent) -> Values:
    """Write a row of `stream_events`, not yet published."""
    return {
        "device_id": event.device_id,
        "sequence": event.sequence,
        "event_id": event.id,
        "type": event.type,
        "body": event.body,
        "at": event.at,
    }


def handled_from(row: Row[Any]) -> Handled:
    """Read a row of `handled_commands`."""
    return Handled(
        identity=Identity(key=MessageKey(sender=row.sender, message_id=row.message_id), digest=row.digest),
        answer=Answer(
            type=row.reply_type,
            content_type=row.reply_content_type,
            body=row.reply_body,
            problem=row.reply_problem,
        ),
        at=row.handled_at,
    )


def handled_values(handled: Handled) -> Values:
    """Write a row of `handled_commands`."""
    return {
        "sender": handled.identity.key.sender,
        "message_id": handled.identity.key.message_id,
        "digest": handled.identity.digest,
        "reply_type": handled.answer.type,
        "reply_content_type": handled.answer.content_type,
        "reply_body": handled.answer.body,
        "reply_problem": handled.answer.problem,
        "handled_at": handled.at,
    }
