"""One command on its way, and the reply that it waits for."""

import asyncio
import json
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self
from uuid import uuid4

from aio_pika import DeliveryMode, Message
from aiormq.abc import DeliveredMessage

from schemas import (
    MESSAGE_ID_CHARS_MAX,
    MediaType,
    Problem,
    ReplyName,
    StreamReply,
    is_device_id,
    read_problem,
    read_reply,
)
from stream_client.errors import StreamUnreadable
from stream_client.line import DIRECT_REPLY_TO

_ANY_DEVICE: Final = "any"
_READERS: Final[Mapping[str, Callable[[bytes], StreamReply | Problem]]] = {
    ReplyName.REPLY: read_reply,
    ReplyName.PROBLEM: read_problem,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A command in its final form. However often it is sent, it is the same command by its `message_id`."""

    message: Message
    routing_key: str
    correlation_id: str
    reply: asyncio.Future[DeliveredMessage]

    def again(self) -> Self:
        """Return the same command with a reply of its own to come: to this one there was a reply."""
        message, correlation_id = copy(self.message), uuid4().hex
        message.correlation_id = correlation_id
        reply = asyncio.get_running_loop().create_future()
        return replace(self, message=message, correlation_id=correlation_id, reply=reply)


def write_letter(
    command: str,
    body: Mapping[str, object],
    message_id: str | None,
    *,
    made_at: datetime | None = None,
    sender: str | None = None,
) -> Letter:
    """Build a command. `made_at` is when, if that is known; `sender` is the broker's user who publishes it: the
    broker refuses another one.

    Raises ValueError where the `message_id` is not 1 to 128 characters without NUL, where the body is not JSON, or
    where the time has no zone or is not from 1970 to 2105.
    """
    if message_id is not None and not _is_message_id(message_id):
        raise ValueError(f"a message_id has 1 to {MESSAGE_ID_CHARS_MAX} characters, none of them NUL")
    if made_at is not None and not _is_moment(made_at):
        raise ValueError(f"a command is made at a time with a zone, from 1970 to 2105, not at {made_at}")
    correlation_id = uuid4().hex
    message = Message(
        json.dumps(body, allow_nan=False, separators=(",", ":")).encode(),
        type=command,
        message_id=message_id or uuid4().hex,
        correlation_id=correlation_id,
        reply_to=DIRECT_REPLY_TO,
        content_type=MediaType.JSON,
        delivery_mode=DeliveryMode.PERSISTENT,
        timestamp=made_at,
        user_id=sender,
    )
    return Letter(
        message=message,
        routing_key=_routing_key(body.get("device_id", sender)),
        correlation_id=correlation_id,
        reply=asyncio.get_running_loop().create_future(),
    )


def read_answer(reply: DeliveredMessage) -> StreamReply | Problem:
    """Read a reply. Raises StreamUnreadable."""
    name = reply.header.properties.message_type
    read = _READERS.get(name or "")
    if read is None:
        raise StreamUnreadable(f"a reply came that is neither a {ReplyName.REPLY} nor a {ReplyName.PROBLEM}")
    try:
        return read(reply.body)
    except ValueError as error:
        raise StreamUnreadable(f"a {name} came that does not fit its schema") from error


def _routing_key(device_id: object) -> str:
    """Route by device where it is known, else by sender, which is a device that may route by nothing but itself.
    The worker reads the body only.
    """
    return device_id if isinstance(device_id, str) and is_device_id(device_id) else _ANY_DEVICE


def _is_message_id(text: str) -> bool:
    fits_amqp = len(text.encode()) <= 255  # noqa: PLR2004 - a short string of AMQP 0-9-1, in bytes
    return 0 < len(text) <= MESSAGE_ID_CHARS_MAX and "\0" not in text and fits_amqp


def _is_moment(time: datetime) -> bool:
    """AMQP counts the seconds from 1970. Of more than 32 bits the worker's library takes them for milliseconds."""
    return time.utcoffset() is not None and 0 <= time.timestamp() < 2**32
