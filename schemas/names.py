"""The words of the wire. The namespace setting changes the broker's objects, never these."""

from enum import StrEnum


class CommandName(StrEnum):
    """The AMQP `type` of a command."""

    CREATE = "stream.create"
    STOP = "stream.stop"
    GET = "stream.get"


class ReplyName(StrEnum):
    """The AMQP `type` of an answer."""

    REPLY = "stream.reply"
    PROBLEM = "stream.problem"


class EventName(StrEnum):
    """The AMQP `type` of an event, which is its CloudEvents `type` too."""

    CREATED = "stream.created"
    STOPPED = "stream.stopped"


class MediaType(StrEnum):
    """The AMQP `content_type` of a command or reply, of a problem, and of an event."""

    JSON = "application/json"
    PROBLEM = "application/problem+json"
    EVENT = "application/cloudevents+json"


class StreamStatus(StrEnum):
    """The two states of a stream: `active`, then `stopped` for ever."""

    ACTIVE = "active"
    STOPPED = "stopped"


class Outcome(StrEnum):
    """What a command that was carried out did.

    `created`: the device had no active stream, now it has this one. `reused`: it had one, and this is it.
    `stopped`: the stream was active and is not any more. `already_stopped`: it was stopped before, and nothing
    changed. `found`: it was read. The list grows: be ready for an outcome that is not on it.
    """

    CREATED = "created"
    REUSED = "reused"
    STOPPED = "stopped"
    ALREADY_STOPPED = "already_stopped"
    FOUND = "found"


class ProblemCode(StrEnum):
    """Why a command was refused; the message `stream.problem` explains each. The list grows: be ready for a code
    that is not on it.
    """

    MALFORMED = "malformed"
    UNKNOWN_COMMAND = "unknown_command"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    MESSAGE_ID_REUSED = "message_id_reused"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    INVALID = "invalid"
    TOO_MANY_REQUESTS = "too_many_requests"
    INTERNAL = "internal"
