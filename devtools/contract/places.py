"""Where messages go, flat: what of channels, operations and messages has to stay as it is."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Place = Mapping[str, Any]
"""Names and values; in a frozen set stand messages, of which more may come."""

_OF_THE_FORMAT: Final = "bindingVersion"


def place_of_channel(channel: Mapping[str, Any]) -> Place:
    """Return the address, the exchange or queue with all its arguments, and the messages."""
    bound = channel.get("bindings", {}).get("amqp", {})
    return {
        "address": channel["address"],
        **dict(_flat(bound)),
        "messages": frozenset(channel["messages"]),
    }


def place_of_operation(operation: Mapping[str, Any]) -> Place:
    """Return who sends what where, and how the answer finds back. Nobody is ready for a third kind of answer."""
    reply = operation.get("reply", {})
    return {
        "action": operation["action"],
        "channel": operation["channel"]["$ref"],
        "messages": frozenset(_names(operation["messages"])),
        "reply": reply.get("address", {}).get("location"),
        "reply's channel": reply.get("channel", {}).get("$ref"),
        "reply's messages": sorted(_names(reply.get("messages", ()))),
    }


def place_of_message(message: Mapping[str, Any]) -> Place:
    """Return where the request is found again that a message belongs to."""
    return {"correlationId": message.get("correlationId", {}).get("location")}


def _names(references: Iterable[Mapping[str, str]]) -> Iterator[str]:
    return (reference["$ref"].rpartition("/")[2] for reference in references)


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from ((f"{name}/{key}", one) for key, one in _flat(part))
        elif name != _OF_THE_FORMAT:
            yield name, part
