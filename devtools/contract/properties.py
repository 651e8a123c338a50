"""AMQP's basic properties and headers of each kind of message, as the contract has them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas import MESSAGE_ID_CHARS_MAX, MediaType
from worker.amqp.codec.reply_address import ADDRESS_BYTES_MAX
from worker.amqp.messages import APP_ID, PERSISTENT
from worker.config.groups.retention import RetentionSettings

_DAY_S: Final = 86_400
RETENTION_DAYS: Final = round(RetentionSettings.model_fields["handled_retention_s"].default / _DAY_S)
"""How long answers are kept for repeats, where nobody has set another time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A basic property (AMQP 0-9-1, section 4.2.6.1), or, where `is_header`, an entry of its table `headers`.

    `schema` says what it may be, `text` what it is for; both are published. `required`: without it the message is
    refused, or, in what we send, it is always there.
    """

    name: str
    schema: Mapping[str, Any]
    text: str
    required: bool = False
    is_header: bool = False

    @property
    def key(self) -> str:
        """What AsyncAPI's header schema calls it: basic properties as most clients spell them, `replyTo`."""
        first, *rest = self.name.split("_")
        return self.name if self.is_header else first + "".join(word.capitalize() for word in rest)

    @property
    def described(self) -> dict[str, Any]:
        """Its JSON Schema, with where it stands in the message."""
        where = f"AMQP header `{self.name}`." if self.is_header else f"AMQP basic property `{self.name}`."
        return {"description": f"{where} {self.text}", **self.schema}


def header_schema(properties: Iterable[Property]) -> dict[str, Any]:
    """Return what AsyncAPI calls a message's headers: there is no other place in it for basic properties."""
    listed = tuple(properties)
    return {
        "type": "object",
        "properties": {one.key: one.described for one in listed},
        "required": [one.key for one in listed if one.required],
    }


def constant(name: str, value: str | int, text: str) -> Property:
    """Return a property that always has one value."""
    kind = "integer" if isinstance(value, int) else "string"
    return Property(name=name, schema={"type": kind, "const": value}, text=text, required=True)


def of_command(name: str) -> tuple[Property, ...]:
    """Return what a sender sets on a command."""
    return (constant("type", name, "The command's name."), *COMMAND_PROPERTIES)


COMMAND_PROPERTIES: Final[Sequence[Property]] = (
    Property(
        name="message_id",
        schema={
            "type": "string",
            "maxLength": MESSAGE_ID_CHARS_MAX,
            "examples": ["5b1f0f1c2f1e4a1f8f3f6f3c0e0f9a11"],
        },
        text=f"The idempotency key: at most {MESSAGE_ID_CHARS_MAX} characters without NUL, unique per sender, "
        "who is the `user_id` (all who send none are one); use a UUID. With it a command takes effect once, "
        "however often it is sent; without it (or empty) at least once. Send the same one when you repeat a "
        "command.",
    ),
    Property(
        name="correlation_id",
        schema={"type": "string", "examples": ["1"]},
        text="Echoed in the reply, so that you know what it answers; where it is missing the reply carries the "
        "`message_id`; where both are, nothing.",
    ),
    Property(
        name="reply_to",
        schema={
            "type": "string",
            "maxLength": ADDRESS_BYTES_MAX,
            "examples": ["amq.rabbitmq.reply-to"],
        },
        text="Where the reply goes: direct reply-to (`amq.rabbitmq.reply-to`), a server-named queue "
        "(`amq.gen-…`), or, where your rights let you declare it, a queue `streams.reply.` and 1 to 190 of "
        "A-Z a-z 0-9 . _ : -; an operator can allow others (`STREAMS_REPLY_TO_PATTERN`). Without it there is no "
        "reply; with any other the command is dead-lettered, not carried out and not answered. A reply to a queue "
        "that is gone or full is dropped: ask again.",
    ),
    Property(
        name="user_id",
        schema={"type": "string", "examples": ["cam-1"]},
        text="The sender, to whom the `message_id` belongs: a repeat has the same, or none again. The broker "
        "refuses one that is not the user of the connection. Required where the worker asks who may do what.",
    ),
    Property(
        name="timestamp",
        schema={"type": "integer", "examples": [1768210200]},
        text="When the command was first made, in whole seconds since 1970 in UTC; a repeat keeps it. Optional. "
        f"Older than the retention of answers ({RETENTION_DAYS} days), the command is refused as `expired`: "
        "nobody knows any more whether it is a repeat. One in the future counts as none.",
    ),
    Property(
        name="content_type",
        schema={"type": "string", "examples": [MediaType.JSON.value]},
        text=f"`{MediaType.JSON}`, with `charset=utf-8` or without; missing means the same. `content_encoding` "
        "must be absent.",
    ),
    Property(
        name="delivery_mode",
        schema={"type": "integer", "enum": [1, PERSISTENT], "examples": [PERSISTENT]},
        text="2 (persistent) is recommended: the worker cannot protect what the broker forgets when it restarts.",
    ),
    Property(
        name="expiration",
        schema={"type": "string", "pattern": "^[0-9]+$", "examples": ["60000"]},
        text="Milliseconds, in a string. A command that waits longer than that is dead-lettered by the broker, "
        "not carried out, and not answered. Optional.",
    ),
    Property(
        name="traceparent",
        schema={"type": "string", "examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]},
        text="W3C trace context. Not used yet; like all headers it goes along with a dead letter.",
        is_header=True,
    ),
    Property(name="tracestate", schema={"type": "string"}, text="W3C trace context, likewise.", is_header=True),
)
"""On every command, beside its `type`."""


def of_reply(name: str, content_type: MediaType) -> tuple[Property, ...]:
    """Return what is set on every reply of a kind."""
    return (
        constant("type", name, "Tells a success (`stream.reply`) from a problem (`stream.problem`)."),
        constant("content_type", content_type.value, "What the body is, always UTF-8."),
        Property(
            name="correlation_id",
            schema={"type": "string", "examples": ["1"]},
            text="The command's, else its `message_id`; absent where it had neither.",
        ),
        Property(
            name="message_id",
            schema={"type": "string", "format": "uuid", "examples": ["0b3c1a52-1f6c-5d0e-8a55-0f6b0d1e9c01"]},
            text="For a command with a `message_id` the same each time it is answered the same.",
            required=True,
        ),
        *_ours(),
    )


def of_event(name: str) -> tuple[Property, ...]:
    """Return what is set on every event of a type."""
    return (
        constant("type", name, "The CloudEvents `type` of the body."),
        constant(
            "content_type", MediaType.EVENT.value, "CloudEvents in structured mode: all of it is in the body."
        ),
        Property(
            name="message_id",
            schema={"type": "string", "format": "uuid", "examples": ["3f0c1d52-6c2b-5d0e-8a55-0f6b0d1e9c77"]},
            text="The event's `id`: the same each time it is published.",
            required=True,
        ),
        Property(
            name="timestamp",
            schema={"type": "integer", "examples": [1768210200]},
            text="When it happened, in whole seconds since 1970 in UTC; the body has the microseconds.",
            required=True,
        ),
        *_ours(),
    )


def _ours() -> tuple[Property, ...]:
    return (
        constant("delivery_mode", PERSISTENT, "Persistent: a durable queue keeps it when the broker restarts."),
        constant("app_id", APP_ID, "The program that sent it."),
    )
