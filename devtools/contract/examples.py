"""Examples of every message: what the models give as theirs, and a problem of each code. A test reads them all."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from schemas import (
    COMMANDS,
    CommandName,
    Event,
    EventName,
    FieldError,
    MediaType,
    Outcome,
    Problem,
    ProblemCode,
    ReplyName,
    StreamCreated,
    StreamReply,
    StreamStopped,
    write_problem,
)
from schemas.stream import STREAM_EXAMPLE
from worker.amqp.messages import APP_ID, PERSISTENT

Example = Mapping[str, Any]

_MESSAGE_ID: Final = "5b1f0f1c2f1e4a1f8f3f6f3c0e0f9a11"
_REPLY_ID: Final = "0b3c1a52-1f6c-5d0e-8a55-0f6b0d1e9c01"
_EVENTS: Final[Mapping[EventName, type[Event]]] = {
    EventName.CREATED: StreamCreated,
    EventName.STOPPED: StreamStopped,
}
_STOPPED: Final = {"status": "stopped", "stopped_at": "2026-01-12T10:30:00.000000Z", "version": 2}

_DETAILS: Final[Mapping[ProblemCode, str]] = {
    ProblemCode.MALFORMED: "The body is not JSON.",
    ProblemCode.UNKNOWN_COMMAND: f"The AMQP property type must be one of {', '.join(CommandName)}.",
    ProblemCode.FORBIDDEN: "This sender may not act for the device cam-1.",
    ProblemCode.NOT_FOUND: "No stream has the code 7K3M9QXA.",
    ProblemCode.MESSAGE_ID_REUSED: f"The message_id {_MESSAGE_ID} was used for another command. Nothing was "
    "changed; send this one with a message_id of its own.",
    ProblemCode.EXPIRED: "The timestamp is more than 604800 seconds old: whether this command was carried out "
    "before is not known any more. It is not carried out now.",
    ProblemCode.TOO_LARGE: "The body has 70000 bytes; at most 65536 are read.",
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: "Send content_type application/json in UTF-8, without a content_encoding.",
    ProblemCode.INVALID: "The body does not fit the command.",
    ProblemCode.TOO_MANY_REQUESTS: "This sender asks faster than it may. Ask again in 1.5 seconds.",
    ProblemCode.INTERNAL: "The command failed again and again on its own, and is kept for the operator. Asking "
    "again can help.",
}


def of_command(name: CommandName) -> Sequence[Example]:
    """Return one example for each way to write the body, as it can be sent: a time would have expired."""
    return [
        {
            "name": f"{name.name.lower()}By{_camel(next(iter(body)))}",
            "summary": f"By `{next(iter(body))}`, answered by direct reply-to.",
            "headers": {
                "type": name.value,
                "messageId": _message_id(name, body),
                "correlationId": "1",
                "replyTo": "amq.rabbitmq.reply-to",
                "contentType": MediaType.JSON.value,
                "deliveryMode": PERSISTENT,
            },
            "payload": body,
        }
        for body in COMMANDS[name].json_schema()["examples"]
    ]


def _message_id(name: CommandName, body: Mapping[str, str]) -> str:
    """One for each command, as it has to be."""
    return _MESSAGE_ID if name is CommandName.CREATE else uuid5(NAMESPACE_URL, f"{name} {json.dumps(body)}").hex


def of_reply() -> Sequence[Example]:
    """Return an example of each outcome."""
    active = StreamReply.model_json_schema()["examples"][0]["stream"]
    after = {Outcome.STOPPED: _STOPPED, Outcome.ALREADY_STOPPED: _STOPPED}
    return [
        {
            "name": outcome.value,
            "summary": f"The outcome `{outcome}`.",
            "headers": _reply_headers(ReplyName.REPLY, MediaType.JSON),
            "payload": {"outcome": outcome.value, "stream": {**active, **after.get(outcome, {})}},
        }
        for outcome in Outcome
    ]


def of_problem() -> Sequence[Example]:
    """Return an example of each code."""
    return [
        {
            "name": code.value,
            "summary": f"The problem `{code}`.",
            "headers": _reply_headers(ReplyName.PROBLEM, MediaType.PROBLEM),
            "payload": json.loads(write_problem(_problem(code))),
        }
        for code in ProblemCode
    ]


def _problem(code: ProblemCode) -> Problem:
    errors = (FieldError(pointer="/device_id", detail="Field required"),) if code is ProblemCode.INVALID else ()
    pause_s = 1.5 if code is ProblemCode.TOO_MANY_REQUESTS else None
    return Problem.make(code, _DETAILS[code], errors=errors, retry_after_s=pause_s)


def _reply_headers(name: ReplyName, content_type: MediaType) -> Example:
    return {
        "type": name.value,
        "contentType": content_type.value,
        "correlationId": "1",
        "messageId": _REPLY_ID,
        "deliveryMode": PERSISTENT,
        "appId": APP_ID,
    }


def of_event(name: EventName) -> Sequence[Example]:
    """Return the example of an event's model."""
    return [
        {
            "name": _camel(name.value.replace(".", "_")),
            "summary": f"The device's event number {body['sequence']}.",
            "headers": {
                "type": name.value,
                "contentType": MediaType.EVENT.value,
                "messageId": body["id"],
                "timestamp": int(datetime.fromisoformat(body["time"]).timestamp()),
                "deliveryMode": PERSISTENT,
                "appId": APP_ID,
            },
            "payload": body,
        }
        for body in _EVENTS[name].model_json_schema()["examples"]
    ]


def of_letter() -> Sequence[Example]:
    """Return a letter that the worker made."""
    return [
        {
            "name": "malformed",
            "summary": "A command without `reply_to` that was not JSON.",
            "headers": {
                "x-streams-reason": ProblemCode.MALFORMED.value,
                "x-streams-detail": _DETAILS[ProblemCode.MALFORMED],
                "x-streams-failed-at": STREAM_EXAMPLE["created_at"],
                "x-streams-attempts": 1,
                "x-streams-exchange": "streams.commands",
                "x-streams-routing-key": "cam-1",
                "x-streams-worker": "worker-1:42",
                "deliveryMode": PERSISTENT,
            },
            "payload": "not json",
        }
    ]


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
