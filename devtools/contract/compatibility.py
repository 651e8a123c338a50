"""Whether what is out there goes on working: two states of the contract's document, compared. The rules: ADR 20.

A command must go on being read: whatever fitted before has to fit now. What we send must go on being understood:
whatever we send now has to fit what was published before. So it is one comparison, once in each direction.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from devtools.contract.shape import AS_IT_IS, AT_LEAST, AT_MOST, Shape, shape_of

_ELSE: Final = "or begin the next version (schemas/version.py, ADR 20)"

Document = Mapping[str, Any]


class Rule(StrEnum):
    """Each rule, and how to go on."""

    MESSAGE = f"a message that was published stays: bring it back, {_ELSE}"
    ADDRESS = f"where a message goes, and how its answer finds back, stays: put it back, {_ELSE}"
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

    `explained` is the text in which a new value of an enumeration has to stand, in backticks. Pure.
    """
    return [
        f"{where}: {what}. The rule: {rule}."
        for where, what, rule in (*_messages(released, present, explained), *_addresses(released, present))
    ]


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
    return {message["$ref"].rpartition("/")[2] for one in operations for message in one["messages"]}


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
    added = (
        (now.values or frozenset()) - (before.values or frozenset()) if before.is_open and now.is_open else None
    )
    for value in sorted(added or ()):
        if f"`{value}`" not in explained:
            yield where, f"can be {value} now, which docs/protocol.md does not know", Rule.ANSWER_VALUE
    for what in _narrower(now, before, values_too=added is None):
        yield where, f"is wider than it was ({what})", Rule.ANSWER_WIDER
    for name, member in before.members.items():
        if name in now.members:
            yield from _of_answer(f"{where}/{name}", member, now.members[name], explained)
        else:
            yield f"{where}/{name}", "is gone", Rule.ANSWER_MEMBER
    if before.items and now.items:
        yield from _of_answer(f"{where}/*", before.items, now.items, explained)


def _narrower(wide: Shape, narrow: Shape, *, values_too: bool = True) -> Iterator[str]:
    """Say what fits the first and not the second, as far as the value itself goes, without its members."""
    if lost := wide.types - narrow.types - ({"integer"} if "number" in narrow.types else set()):
        yield f"not {' or '.join(sorted(lost))}"
    if values_too and narrow.values is not None and (wide.values is None or wide.values - narrow.values):
        yield f"only {', '.join(sorted(narrow.values))}"
    for name in (*AT_MOST, *AT_LEAST, *AS_IT_IS):
        if name in narrow.limits and not _within(name, wide.limits.get(name), narrow.limits[name]):
            yield f"{name} {narrow.limits[name]}"


def _within(name: str, inner: Any, outer: Any) -> bool:
    if inner is None:
        return False
    if name == "oneOf":
        return all(choice in outer for choice in inner)
    if name in AS_IT_IS:  # two patterns cannot be compared
        return bool(inner == outer)
    return bool(inner <= outer if name in AT_MOST else inner >= outer)


def _addresses(released: Document, present: Document) -> Iterator[_Break]:
    for kind, place in (("channels", _place_of_channel), ("operations", _place_of_answer)):
        for name, before in released[kind].items():
            now = present[kind].get(name)
            if now is None:
                yield f"{kind} {name}", "is gone", Rule.ADDRESS
            elif place(before) != place(now):
                yield f"{kind} {name}", f"was {place(before)}, is {place(now)}", Rule.ADDRESS


def _place_of_channel(channel: Mapping[str, Any]) -> str:
    bound = channel.get("bindings", {}).get("amqp", {})
    place = bound.get("exchange") or bound.get("queue") or {}
    return " ".join(map(str, (channel["address"], place.get("name"), place.get("type"))))


def _place_of_answer(operation: Mapping[str, Any]) -> str:
    return f"{operation['action']} {operation.get('reply', {}).get('address', {}).get('location')}"
