"""The operations, from the worker's point of view: it receives commands and sends events."""

from collections.abc import Sequence
from typing import Any, Final

from devtools.contract.messages import LETTER, MESSAGES, Message
from schemas import CommandName, EventName, ReplyName
from worker.amqp.messages import PERSISTENT

_ON_A_COMMAND: Final = {
    "deliveryMode": PERSISTENT,
    "mandatory": True,
    "timestamp": True,
    "ack": True,
    "bindingVersion": "0.3.0",
}
_ON_WHAT_WE_SEND: Final = {"deliveryMode": PERSISTENT, "timestamp": True, "bindingVersion": "0.3.0"}
_ON_A_LETTER: Final = {"deliveryMode": PERSISTENT, "bindingVersion": "0.3.0"}

_NAMES: Final = {
    CommandName.CREATE: "createStream",
    CommandName.STOP: "stopStream",
    CommandName.GET: "getStream",
    EventName.CREATED: "streamCreated",
    EventName.STOPPED: "streamStopped",
    LETTER: "keepDeadLetter",
}


def operations() -> dict[str, Any]:
    """Return all operations by their names."""
    by_name = {message.name: message for message in MESSAGES}
    return {
        **{_NAMES[name]: _command(by_name[name]) for name in CommandName},
        **{_NAMES[name]: _event(by_name[name]) for name in EventName},
        _NAMES[LETTER]: {
            "action": "send",
            "channel": _channel("deadLetters"),
            "title": by_name[LETTER].title,
            "summary": "Keep what could not become a reply.",
            "description": "Confirmed by the broker before the message itself is let go: a dead letter may "
            "be there twice after a crash, and is never lost.\n",
            "tags": [{"name": "dead letters"}],
            "bindings": {"amqp": _ON_A_LETTER},
            "messages": _in("deadLetters", LETTER),
        },
    }


def _command(message: Message) -> dict[str, Any]:
    return {
        "action": "receive",
        "channel": _channel("commands"),
        "title": message.title,
        "summary": message.summary,
        "description": "You publish it, the worker receives and answers it. It is acknowledged when its effects "
        "are durable, its reply and its events confirmed.\n",
        "tags": [{"name": "commands"}],
        "bindings": {"amqp": _ON_A_COMMAND},
        "messages": _in("commands", message.name),
        "reply": {
            "address": {
                "location": "$message.header#/replyTo",
                "description": "The queue that the command's `reply_to` names, through the default exchange.",
            },
            "channel": _channel("replies"),
            "messages": _in("replies", *ReplyName),
        },
    }


def _event(message: Message) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": _channel("events"),
        "title": message.title,
        "summary": message.summary,
        "description": "The worker publishes it, you bind a queue to get it. Nobody has to: it is not "
        "`mandatory`.\n",
        "tags": [{"name": "events"}],
        "bindings": {"amqp": _ON_WHAT_WE_SEND},
        "messages": _in("events", message.name),
    }


def _channel(name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{name}"}


def _in(channel: str, *names: str) -> Sequence[dict[str, str]]:
    return [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names]
