"""What docs/protocol.md has between its marks: tables from the models and the topology, and parts of the guide."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from devtools.contract.catalogue import ORDER, PROBLEM_TITLES, problem_rows, table
from devtools.contract.channels import EVENT_LOG, LOGGED, OBJECTS, PARTITIONED
from devtools.contract.document import guide
from devtools.contract.letter import LETTER_PROPERTIES
from devtools.contract.messages import MESSAGES
from devtools.contract.permissions import AUTHORITY, PERMISSIONS
from devtools.contract.properties import RETENTION_DAYS, Property, of_command, of_event, of_reply
from schemas import (
    BODY_BYTES_MAX,
    CODE_CHARS,
    CODE_WRITTEN_CHARS_MAX,
    DEVICE_ID_CHARS_MAX,
    DEVICE_ID_PATTERN,
    MESSAGE_ID_CHARS_MAX,
    CommandName,
    EventName,
    MediaType,
    ReplyName,
)
from schemas.limits import CODE_PATTERN
from worker.amqp.codec.reply_address import ADDRESS_BYTES_MAX
from worker.amqp.guard import HEADER_BYTES_MAX
from worker.amqp.topology import Exchange, Queue

_MARKED: Final = re.compile(r"(<!-- (?:table|guide): ([^\n]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
_SECTION: Final = re.compile(r"^## (.+)\n+((?:(?!## ).*\n)+)", re.MULTILINE)
_KIB: Final = 1024


class UnknownPart(ValueError):
    """A mark asks for a table, or a section of the guide, that there is not."""


def with_parts(text: str) -> str:
    """Return a document with all that stands between marks as it should be. Raises UnknownPart."""
    return _MARKED.sub(_written, text)


def _written(marked: re.Match[str]) -> str:
    if marked[2] not in PARTS:
        raise UnknownPart(f"nothing is called {marked[2]}; there are {', '.join(PARTS)}")
    return f"{marked[1]}\n{PARTS[marked[2]]()}\n{marked[3]}"


def _section(heading: str) -> str:
    sections: dict[str, str] = dict(_SECTION.findall(guide()))
    return sections[heading].strip() + "\n"


_NOTES: Final[Mapping[str, str]] = {
    OBJECTS.commands: "devices publish here; routing key = their device id",
    OBJECTS.events: "routing key = `<event type>.<device id>`",
    OBJECTS.dead: "every message that could not become a reply",
    PARTITIONED.hashed: "with `STREAMS_PARTITIONS` = N > 1 only: gets all of `streams.commands`, whose queue is "
    "not bound then",
}


def _objects() -> str:
    exchanges = {one.name: one for one in (*OBJECTS.exchanges, *PARTITIONED.exchanges)}
    queues = {one.name: one for one in (*PARTITIONED.queues, *LOGGED.queues) if one.name != _SECOND}
    rows = [_exchange(one) for one in exchanges.values()] + [_queue(queues[name]) for name in sorted(queues)]
    return table(("object", "kind", ""), rows)


_FIRST, _SECOND = PARTITIONED.partitions


def _exchange(exchange: Exchange) -> Sequence[str]:
    return f"`{exchange.name}`", f"{exchange.kind} exchange, durable", _NOTES[exchange.name]


def _queue(queue: Queue) -> Sequence[str]:
    name = f"`{queue.name}`"
    if queue.name == _FIRST:
        name = f"{name} … `.N`"
    set_to = ", ".join(f"`{key}` = `{_shown(value)}`" for key, value in queue.arguments.items())
    only = "with `STREAMS_EVENT_LOG=on` only: " if queue.name == EVENT_LOG else ""
    return name, "queue, durable", f"{only}bound to `{queue.exchange}` with `{queue.key}`; {set_to}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _properties(properties: Iterable[Property]) -> str:
    rows = [[_name(one), _values(one), one.text] for one in properties]
    return table(("property", "is", ""), rows)


def _name(one: Property) -> str:
    return f"header `{one.name}`" if one.is_header else f"`{one.name}`"


def _values(one: Property) -> str:
    if "const" in one.schema:
        return f"`{_shown(one.schema['const'])}`"
    kind = str(one.schema["type"]) if "format" not in one.schema else str(one.schema["format"])
    return f"{kind}, always" if one.required else kind


def _of_commands() -> str:
    """One table for the three: they differ in the value of `type` only."""
    names = " or ".join(f"`{name}`" for name in CommandName)
    first, *rest = of_command(CommandName.CREATE)
    kinds = Property(name=first.name, schema={"type": "string"}, text=f"{names}. Required.")
    return _properties((kinds, *rest))


def _of_replies() -> str:
    first, second, *rest = of_reply(ReplyName.REPLY, MediaType.JSON)
    either = (
        Property(name=first.name, schema={"type": "string"}, text=f"`{ReplyName.REPLY}` or `{ReplyName.PROBLEM}`"),
        Property(name=second.name, schema={"type": "string"}, text=f"`{MediaType.JSON}` or `{MediaType.PROBLEM}`"),
    )
    return _properties((*either, *rest))


def _of_events() -> str:
    first, *rest = of_event(EventName.CREATED)
    kinds = Property(
        name=first.name, schema={"type": "string"}, text=" or ".join(f"`{name}`" for name in EventName)
    )
    return _properties((kinds, *rest))


def _commands() -> str:
    rows = [[f"`{one.name}`", _body(one.examples), one.summary] for one in MESSAGES if one.is_command]
    return table(("command", "body", "does"), rows)


def _body(examples: Sequence[Mapping[str, Any]]) -> str:
    """A command with several examples has one for each way to name a stream."""
    members = [f"`{next(iter(example['payload']))}`" for example in examples]
    return f"exactly one of {', '.join(members)}" if len(members) > 1 else members[0]


def _limits() -> str:
    rows = [
        ["body of a command", f"{BODY_BYTES_MAX // _KIB} KiB", "`too_large`"],
        ["all its properties and headers", f"{HEADER_BYTES_MAX // _KIB} KiB", "dead letter, `undecodable`"],
        ["`message_id`", f"{MESSAGE_ID_CHARS_MAX} characters, without NUL", "`invalid`"],
        ["`reply_to`", f"{ADDRESS_BYTES_MAX} bytes", "dead letter, `reply_to_not_allowed`"],
        ["device id", f"{DEVICE_ID_CHARS_MAX} characters, `{DEVICE_ID_PATTERN}`", "`invalid`"],
        ["code, as it is sent out", f"{CODE_CHARS} characters, `{CODE_PATTERN}`", ""],
        ["code, as it is read", f"{CODE_WRITTEN_CHARS_MAX} characters with hyphens and spaces", "`invalid`"],
        ["age of a command's `timestamp`", f"{RETENTION_DAYS} days, as set by default", "`expired`"],
    ]
    return table(("what", "at most", "over it"), rows)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "objects": _objects,
    "properties of commands": _of_commands,
    "commands": _commands,
    "limits": _limits,
    "authority": lambda: AUTHORITY,
    "permissions": lambda: PERMISSIONS,
    "properties of replies": _of_replies,
    "problems": lambda: f"{table(PROBLEM_TITLES, problem_rows())}\n{ORDER}\n",
    "properties of events": _of_events,
    "headers of dead letters": lambda: _properties(LETTER_PROPERTIES),
}

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    **TABLES,
    **{
        heading: partial(_section, heading)
        for heading in (
            "What is promised",
            "Connect",
            "Send a command",
            "Time-outs, and asking again",
            "Order of commands",
            "Listen to events",
            "What may change",
        )
    },
}
