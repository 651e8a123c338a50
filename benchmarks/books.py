"""Do the books balance: what was asked, what was answered, and what a subscriber heard. Pure."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.expected import EFFECTS, events_of, expected
from benchmarks.load import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of a run: replies with the number of their command, events in the order in which they came, and
    how many commands are still in the queue.
    """

    replies: Sequence[tuple[int, bytes]]
    events: Sequence[bytes]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    device_id: str
    stream_id: str
    is_creation: bool
    sequence: int


def broken(commands: Sequence[Command], heard: Heard) -> Mapping[str, int]:
    """Count the promises that were broken, by kind; nothing where the books balance."""
    bodies = defaultdict(list)
    for number, body in heard.replies:
        bodies[number].append(body)
    facts = [_fact(event) for event in heard.events]
    first = {number: json.loads(some[0]) for number, some in bodies.items()}
    counts = _told(commands, heard) | {
        "answers not as one after another": _out_of_turn(commands, first),
        "repeats answered otherwise": _repeats_that_differ(commands, bodies),
        "effects twice": _effects_twice(commands, first),
        "devices with two active streams": _doubly_active(facts),
        "events lost": len(_claimed(first) - {(fact.stream_id, fact.is_creation) for fact in facts}),
        "devices with events out of order": _out_of_order(facts),
    }
    return {what: count for what, count in counts.items() if count}


def unechoed(commands: Sequence[Command], heard: Heard) -> Mapping[str, int]:
    """Count as `broken` does, for what has no state to be right about: numbers of replies and events only."""
    missing = events_of(commands) - len(heard.events)
    counts = _told(commands, heard) | {"events lost": max(missing, 0), "events too many": max(-missing, 0)}
    return {what: count for what, count in counts.items() if count}


def _told(commands: Sequence[Command], heard: Heard) -> dict[str, int]:
    replies = Counter(number for number, _ in heard.replies)
    return {
        "left in the queue": heard.left,
        "unanswered": len(commands) - len(replies),
        "answered twice": sum(count > 1 for count in replies.values()),
    }


def _out_of_turn(commands: Sequence[Command], first: Mapping[int, dict[str, str]]) -> int:
    words = expected(commands)
    return sum(_word(answer) != words[number] for number, answer in first.items())


def _word(answer: Mapping[str, str]) -> str:
    return answer.get("outcome") or answer["code"]


def _repeats_that_differ(commands: Sequence[Command], bodies: Mapping[int, Sequence[bytes]]) -> int:
    said: defaultdict[str, set[bytes]] = defaultdict(set)
    for number, some in bodies.items():
        said[commands[number].message_id].update(some)
    return sum(len(answers) > 1 for answers in said.values())


def _claimed(first: Mapping[int, Mapping[str, object]]) -> set[tuple[str, bool]]:
    return {(stream_id, is_creation) for _, stream_id, is_creation in _effects(first)}


def _effects_twice(commands: Sequence[Command], first: Mapping[int, Mapping[str, object]]) -> int:
    """Count commands that several times made a stream, and streams that several commands made or ended."""
    by_command, by_stream = defaultdict(set), defaultdict(set)
    for number, stream_id, is_creation in _effects(first):
        message_id = commands[number].message_id
        by_command[message_id].add(stream_id)
        by_stream[stream_id, is_creation].add(message_id)
    return sum(len(some) > 1 for some in (*by_command.values(), *by_stream.values()))


def _effects(first: Mapping[int, Mapping[str, object]]) -> Iterator[tuple[int, str, bool]]:
    for number, answer in first.items():
        stream = answer.get("stream")
        if answer.get("outcome") in EFFECTS and isinstance(stream, dict):
            yield number, stream["id"], answer["outcome"] == "created"


def _fact(body: bytes) -> _Fact:
    event = json.loads(body)
    stream = event["data"]["stream"]
    return _Fact(
        device_id=stream["device_id"],
        stream_id=stream["id"],
        is_creation=event["type"] == "stream.created",
        sequence=int(event["sequence"]),
    )


def _doubly_active(facts: Sequence[_Fact]) -> int:
    """Count devices that end with more than one stream that nobody stopped."""
    stopped = {fact.stream_id for fact in facts if not fact.is_creation}
    active = {(f.device_id, f.stream_id) for f in facts if f.is_creation and f.stream_id not in stopped}
    return sum(count > 1 for count in Counter(device_id for device_id, _ in active).values())


def _out_of_order(facts: Sequence[_Fact]) -> int:
    """Count devices whose events did not first appear as 1, 2, 3, …"""
    seen: defaultdict[str, dict[int, None]] = defaultdict(dict)
    twice: set[str] = set()
    streams: dict[tuple[str, int], tuple[str, bool]] = {}
    for fact in facts:
        seen[fact.device_id].setdefault(fact.sequence)
        what = (fact.stream_id, fact.is_creation)
        if streams.setdefault((fact.device_id, fact.sequence), what) != what:
            twice.add(fact.device_id)  # two facts under one number
    return sum(list(n) != list(range(1, len(n) + 1)) or device in twice for device, n in seen.items())
