"""From a dead letter back to the message that it was."""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pamqp.commands import Basic

from worker.amqp.letter import Letter
from worker.amqp.messages import PERSISTENT, ROUTING_KEY_BYTES_MAX, WireMessage
from worker.amqp.nameless import Nameless

_DIRECT_REPLY: Final = "amq.rabbitmq.reply-to"

# What the worker, the broker and the queues wrote. CC and BCC would send copies where a stranger says.
_THEIRS: Final = ("x-streams-", "x-first-death-", "x-last-death-")
_THEIRS_WHOLE: Final = frozenset({"x-death", "x-delivery-count", "CC", "BCC"})


def restored(letter: Letter, *, exchange: str, with_reply_to: bool = True) -> WireMessage:
    """Return the command of a dead letter, to be published to `exchange` once more: body, routing key, sender and
    properties as they came. Pure.

    Not a direct `reply_to`: its asker does not wait any more, and a worker's reply to one that is gone may end a
    connection (RabbitMQ 3.10).

    Nor its `expiration`, which has passed or was taken from it: it would expire again, or be lost. Where it has no
    `timestamp` it gets the moment of its death, so that a worker can tell a command that is older than what it
    remembers. Without a `message_id` it stays so. Always persistent, and mandatory.
    """
    properties: Basic.Properties = copy.copy(letter.delivery.properties)
    properties.headers = _own(properties.headers or {}) or None
    properties.user_id = letter.sender
    properties.expiration = None
    properties.cluster_id = ""
    properties.delivery_mode = PERSISTENT
    properties.timestamp = sent_at(letter)
    if not with_reply_to or (properties.reply_to or "").startswith(_DIRECT_REPLY):
        properties.reply_to = None
    return WireMessage(
        exchange=exchange,
        # One that was not UTF-8 has grown by being read.
        routing_key=letter.routing_key.encode()[:ROUTING_KEY_BYTES_MAX].decode(errors="ignore"),
        properties=Nameless.of(properties) if letter.nameless else properties,
        body=letter.delivery.body,
        mandatory=True,
    )


def sent_at(letter: Letter) -> datetime | None:
    """Return the time by which a worker tells the age of the command."""
    return letter.delivery.properties.timestamp or letter.died_at


def _own(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the headers that its sender wrote; a string that was not UTF-8 in the form that can be written."""
    return {
        name: bytearray(value) if isinstance(value, bytes) else value
        for name, value in headers.items()
        if name not in _THEIRS_WHOLE and not name.startswith(_THEIRS)
    }
