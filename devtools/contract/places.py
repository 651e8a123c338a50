"""Where messages go, flat: what of servers, channels, operations and messages has to stay as it is."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Place = Mapping[str, Any]
"""Names and values; in a frozen set stand messages, or ways, of which more may come."""

_WORDS: Final = frozenset({"bindingVersion", "description"})


def place_of_server(server: Mapping[str, Any]) -> Place:
    """Return the address where nobody has chosen another, and the ways to log in."""
    chosen = {name: variable.get("default", "") for name, variable in server.get("variables", {}).items()}
    address = f"{server['protocol']}://{server['host']}{server.get('pathname', '')}"
    return {
        "address": address.format_map(chosen),
        "protocolVersion": server.get("protocolVersion"),
        **_references(server, "security"),
    }


def place_of_security(scheme: Mapping[str, Any]) -> Place:
    """Return how one logs in: of which type it is, and whatever that takes."""
    return dict(_flat(scheme))


def place_of_channel(channel: Mapping[str, Any]) -> Place:
    """Return the address, the exchange or queue with all its arguments, the servers, and the messages."""
    return {
        "address": channel["address"],
        **_bound(channel),
        **_references(channel, "servers"),
        "messages": frozenset(channel["messages"]),
    }


def place_of_operation(operation: Mapping[str, Any]) -> Place:
    """Return who sends what where and how, and how it is answered: nobody is ready for a third kind of answer."""
    reply = operation.get("reply", {})
    return {
        "action": operation["action"],
        "channel": operation["channel"]["$ref"],
        **_bound(operation),
        **_references(operation, "security"),
        "messages": frozenset(names(operation["messages"])),
        "reply": reply.get("address", {}).get("location"),
        "reply's channel": reply.get("channel", {}).get("$ref"),
        "reply's messages": sorted(names(reply.get("messages", ()))),
    }


def place_of_message(message: Mapping[str, Any]) -> Place:
    """Return how it is packed, and where the request is found again that it belongs to."""
    return {"correlationId": message.get("correlationId", {}).get("location"), **_bound(message)}


def _references(part: Mapping[str, Any], name: str) -> Place:
    """Return what a part is restricted to; without a list of it there is no restriction."""
    return {name: frozenset(names(part[name]))} if name in part else {}


def names(references: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Name what is referred to."""
    return (reference["$ref"].rpartition("/")[2] for reference in references)


def _bound(part: Mapping[str, Any]) -> Place:
    return dict(_flat(part.get("bindings", {}).get("amqp", {})))


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from ((f"{name}/{key}", one) for key, one in _flat(part))
        elif name not in _WORDS:
            yield name, part
