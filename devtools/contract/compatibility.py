"""Whether what is out there goes on working: two states of the contract's document, compared. The rules: ADR 20.

A command must go on being read: whatever fitted before has to fit now. What we send must go on being understood:
whatever we send now has to fit what was published before. So it is one comparison, once in each direction.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from devtools.contract.places import (
    Place,
    names,
    place_of_channel,
    place_of_message,
    place_of_operation,
    place_of_security,
    place_of_server,
)
from devtools.contract.shape import AT_LEAST, AT_MOST, CHOICES, Shape, shape_of

_ELSE: Final = "or begin the next version (schemas/version.py, ADR 20)"
_EVENT_NAME: Final = re.compile(r"stream\.[a-z_]+")

Document = Mapping[str, Any]


class Rule(StrEnum):
    """Each rule, and how to go on."""

    MESSAGE = f"a message that was published stays: bring it back, {_ELSE}"
    EVENT_NAME = (
        "subscribers bind `stream.*.<device>` for all types and `stream.created.#` for one: "
        f"call it `stream.` and one word, {_ELSE}"
    )
    ACCESS = f"who could connect and log in still can: put it back, with what is new beside it, {_ELSE}"
    ADDRESS = f"where and how a message goes, and how its answer finds back, stays: put it back, {_ELSE}"
    COMMAND_MEMBER = (
        f"what a command may say stays, or it would be ignored in silence: bring the member back, {_ELSE}"
    )
    COMMAND_REQUIRED = f"a command needs nothing that it did not need: make it optional, {_ELSE}"
    COMMAND_NARROWER = f"what was accepted in a command stays accepted: widen it again, {_ELSE}"
    ANSWER_MEMBER = f"what we send keeps its members: bring it back, always there, {_ELSE}"
    ANSWER_WIDER = f"what we send stays within what was published: narrow it again, or add a new member, {_ELSE}"
    ANSWER_VALUE = f"a new value of what we send is explained first: write it into docs/protocol.md, {_ELSE}"


def broken_rules(released: Document, present: Document, *, explained: str) -> Sequence[str]:
    """Return a sentence for each change that could break somebody: where, what, which rule, how to go on.

    `explained` is the text in which a new value of an open list has to stand, in backticks. Pure.
    """
    found = (
        *_messages(released, present, explained),
        *_new_events(released, present, explained),
        *_places(released, present),
    )
    return [f"{where}: {what}. The rule: {rule}." for where, what, rule in found]


_Break = tuple[str, str, Rule]


def _messages(released: Document, present: Document, explained: str) -> Iterator[_Break]:
    commands = _received(released)
    for name, before in released["components"]["messages"].items():
        now = present["components"]["messages"].get(name)
        if now is None:
            yield name, "is gone", Rule.MESSAGE
            continue
        if before.get("contentType") != now.get("contentType"):
            yield name, f"was {before.get('contentType')} and is {now.get('contentType')}", Rule.MESSAGE
        for part in ("headers", "payload"):
            shapes = shape_of(before[part], released), shape_of(now[part], present)
            if name in commands:
                yield from _of_command(f"{name} {part}", *shapes)
            else:
                yield from _of_answer(f"{name} {part}", *shapes, explained)


def _received(document: Document) -> set[str]:
    """Name the messages that we read."""
    operations = [one for one in document["operations"].values() if one["action"] == "receive"]
    return {name for one in operations for name in names(one["messages"])}


def _new_events(released: Document, present: Document, explained: str) -> Iterator[_Break]:
    """Subscribers count events of types that they do not know: those have what every event has."""
    (first, *_), now = (
        names(document["channels"]["events"]["messages"].values()) for document in (released, present)
    )
    known, messages = released["components"]["messages"], present["components"]["messages"]
    for name in sorted({*now} & messages.keys() - known.keys()):
        if not _EVENT_NAME.fullmatch(name):
            yield name, "is a new type of event", Rule.EVENT_NAME
        for part in ("headers", "payload"):
            every = shape_of(known[first][part], released)
            of_its_type = replace(every.members["type"], values=frozenset({name}))
            every = replace(every, members={**every.members, "type": of_its_type})
            shape = shape_of(messages[name][part], present)
            yield from _of_answer(f"{name} {part}", every, shape, explained)


def _of_command(where: str, before: Shape, now: Shape) -> Iterator[_Break]:
    for name in sorted(now.required - before.required):
        yield f"{where}/{name}", "is required now", Rule.COMMAND_REQUIRED
    for what in _narrower(before, now):
        yield where, what, Rule.COMMAND_NARROWER
    for name, member in before.members.items():
        if name in now.members:
            yield from _of_command(f"{where}/{name}", member, now.members[name])
        else:
            yield f"{where}/{name}", "is gone", Rule.COMMAND_MEMBER
    if before.items and now.items:
        yield from _of_command(f"{where}/*", before.items, now.items)


def _of_answer(where: str, before: Shape, now: Shape, explained: str) -> Iterator[_Break]:
    for name in sorted((before.required - now.required) & now.members.keys()):
        yield f"{where}/{name}", "was always there, and may be missing now", Rule.ANSWER_MEMBER
    for value in sorted(_new_values(before, now)):
        if f"`{value}`" not in explained:
            yield where, f"can be {value} now, which docs/protocol.md does not know", Rule.ANSWER_VALUE
    for what in _narrower(now, before):
        yield where, f"is wider than it was ({what})", Rule.ANSWER_WIDER
    for name, member in before.members.items():
        if name in now.members:
            yield from _of_answer(f"{where}/{name}", member, now.members[name], explained)
        else:
            yield f"{where}/{name}", "is gone", Rule.ANSWER_MEMBER
    if before.items and now.items:
        yield from _of_answer(f"{where}/*", before.items, now.items, explained)


def _new_values(before: Shape, now: Shape) -> frozenset[str]:
    """Return what came to a list that may grow."""
    return frozenset() if before.known is None else (now.known or now.values or frozenset()) - before.known


def _narrower(wide: Shape, narrow: Shape) -> Iterator[str]:
    """Say what fits the first and not the second, as far as the value itself goes, without its members."""
    if lost := wide.types - narrow.types - ({"integer"} if "number" in narrow.types else set()):
        yield f"not {' or '.join(sorted(lost))}"
    if narrow.values is not None and (wide.values is None or wide.values - narrow.values):
        yield f"only {', '.join(sorted(narrow.values))}"
    if narrow.known is not None and wide.known is None and wide.values is None:
        yield f"no list of {', '.join(sorted(narrow.known))}"
    if narrow.items and not wide.items and "array" in wide.types:
        yield "only some items"
    for name, limit in narrow.limits.items():
        if not _within(name, wide.limits.get(name), limit):
            yield f"{name} {limit}"


def _within(name: str, inner: Any, outer: Any) -> bool:
    """Whether what fits the one limit fits the other. Two patterns, or words that we do not know, cannot be
    compared: they have to be the same.
    """
    if inner is None:
        return False
    if name in CHOICES:
        return all(choice in outer for choice in inner)
    if name in AT_MOST or name in AT_LEAST:
        return bool(inner <= outer if name in AT_MOST else inner >= outer)
    return bool(inner == outer)


_PLACES: Final[Sequence[tuple[str, Callable[[Any], Place], Rule]]] = (
    ("servers", place_of_server, Rule.ACCESS),
    ("securitySchemes", place_of_security, Rule.ACCESS),
    ("channels", place_of_channel, Rule.ADDRESS),
    ("operations", place_of_operation, Rule.ADDRESS),
    ("messages", place_of_message, Rule.ADDRESS),
)


def _places(released: Document, present: Document) -> Iterator[_Break]:
    for kind, place_of, rule in _PLACES:
        before_all, now_all = ({**one, **one["components"]}[kind] for one in (released, present))
        for name, before in before_all.items():
            where = f"{kind} {name}"
            if name in now_all:
                yield from _moved(where, place_of(before), place_of(now_all[name]), rule)
            elif place_of is not place_of_message:  # a message that is gone was said
                yield where, "is gone", rule


def _moved(where: str, before: Place, now: Place, rule: Rule) -> Iterator[_Break]:
    """Of messages and ways none may leave a place; whether others may come is the place's own affair."""
    for name, was in before.items():
        is_now = now.get(name)
        if isinstance(was, frozenset) and isinstance(is_now, frozenset):
            for one in sorted(was - is_now):
                yield where, f"has no {one} any more", rule
        elif was != is_now:
            yield where, f"{name} was {was}, is {is_now}", rule
    for name in sorted(now.keys() - before.keys()):
        yield where, f"{name} is {now[name]}, and was nothing", rule
