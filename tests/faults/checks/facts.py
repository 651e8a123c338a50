"""What the world heard of what happened: I3, I4, I6 and I7."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.faults.checks.reading import Fact, read_fact
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import Event, History
from tests.faults.snapshot import EventRow, Snapshot


def events_are_as_committed(history: History, snapshot: Snapshot) -> list[Violation]:
    """I3. Every committed event was heard at least once and is marked as published; no other was heard. Of a
    device that nobody was bound to hear, the first is not asked.
    """
    heard = {event.message_id: event for event in history.events}
    committed = {row.event_id: row for row in snapshot.events}
    names = {id_: f"event {row.sequence} of {row.device_id}, {id_}" for id_, row in committed.items()}
    lost = [
        (names[id_], "committed, and never heard")
        for id_, row in committed.items()
        if id_ not in heard and row.device_id not in history.unheard
    ]
    waiting = [(names[id_], "not marked as published") for id_, row in committed.items() if not row.published_at]
    strange = [
        (f"event {id_}", f"heard, and never committed: {event.body!r}")
        for id_, event in heard.items()
        if id_ not in committed
    ]
    return [_broken(Invariant.I3, what, detail) for what, detail in (*lost, *waiting, *strange)]


def one_stream_is_active(history: History, snapshot: Snapshot) -> list[Violation]:
    """I4. At every moment of what was heard and of what is committed, and in the table of streams as it is now. Of
    a device that nobody was bound to hear, what was heard has gaps, and tells nothing.
    """
    active: defaultdict[str, list[str]] = defaultdict(list)
    for stream in snapshot.streams:
        if stream.status == "active":
            active[stream.device_id].append(stream.id)
    several = [
        _broken(Invariant.I4, f"device {device_id}", f"active in the database: {ids}")
        for device_id, ids in active.items()
        if len(ids) > 1
    ]
    firsts = [fact for fact in _firsts(history.events) if fact.stream.device_id not in history.unheard]
    heard = _replay("heard", firsts)
    committed = _replay("committed", [fact for row in snapshot.events if (fact := read_fact(row.body))])
    return [*several, *heard, *committed]


def _replay(where: str, facts: Iterable[Fact]) -> Iterator[Violation]:
    """Live through each device's events by their numbers: whether they came in that order is I6's question."""
    active: dict[str, str] = {}
    for fact in sorted(facts, key=lambda fact: fact.sequence):
        device_id, stream_id = fact.stream.device_id, fact.stream.id
        now = active.get(device_id)
        if fact.type == "stream.created" and now is not None:
            detail = f"event {fact.sequence}, {where}: {stream_id} begins while {now} is active"
            yield _broken(Invariant.I4, f"device {device_id}", detail)
        if fact.type == "stream.created":
            active[device_id] = stream_id
        elif now == stream_id:
            del active[device_id]
        else:
            detail = f"event {fact.sequence}, {where}: {stream_id} stops, active is {now}"
            yield _broken(Invariant.I4, f"device {device_id}", detail)


def events_are_in_order(history: History) -> list[Violation]:
    """I6. By device, over all its streams, first appearances count 1, 2, 3, …; the first odd one is named. A
    device that nobody was bound to hear may have gaps, and no more.
    """
    found: dict[str, Violation] = {}
    counts: defaultdict[str, int] = defaultdict(int)
    for fact in _firsts(history.events):
        device_id = fact.stream.device_id
        counts[device_id] += 1
        if device_id in history.unheard and fact.sequence > counts[device_id]:
            counts[device_id] = fact.sequence
        if fact.sequence != counts[device_id] and device_id not in found:
            detail = f"event {fact.sequence} first appeared in the place of {counts[device_id]}"
            found[device_id] = _broken(Invariant.I6, f"device {device_id}", detail)
    return list(found.values())


def one_id_is_one_fact(history: History, snapshot: Snapshot) -> list[Violation]:
    """I7. What is published under an id is the committed bytes each time, and what the message and the row say of
    themselves is what is in them; and no two ids stand for the same change.
    """
    bodies: defaultdict[str | None, set[bytes]] = defaultdict(set)
    for row in snapshot.events:
        bodies[row.event_id].add(row.body)
    for event in history.events:
        bodies[event.message_id].add(event.body)
    found = [
        _broken(Invariant.I7, f"event {id_}", f"it has {len(forms)} forms: {sorted(forms)}")
        for id_, forms in bodies.items()
        if len(forms) > 1
    ]
    return [*found, *_mislabelled(history.events), *_misfiled(snapshot.events), *_ambiguous(bodies)]


def _mislabelled(events: Sequence[Event]) -> Iterator[Violation]:
    for event in events:
        fact = read_fact(event.body)
        label = (event.message_id, event.type, event.routing_key)
        if fact is None:
            yield _broken(Invariant.I7, f"event {event.message_id}", f"no event can be read from {event.body!r}")
        elif label != (fact.id, fact.type, f"{fact.type}.{fact.stream.device_id}"):
            yield _broken(Invariant.I7, f"event {fact.id}", f"it goes as {label}, and is {event.body!r}")


def _misfiled(rows: Sequence[EventRow]) -> Iterator[Violation]:
    for row in rows:
        fact = read_fact(row.body)
        label = (row.event_id, row.device_id, row.sequence, row.type)
        if (
            fact is None
            or label != (fact.id, fact.stream.device_id, fact.sequence, fact.type)
            or {row.at, fact.time or row.at} != {fact.changed_at}
        ):
            yield _broken(Invariant.I7, f"event {row.event_id}", f"committed as {row}")


def _ambiguous(bodies: Mapping[str | None, Iterable[bytes]]) -> Iterator[Violation]:
    ids: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for fact in (fact for forms in bodies.values() for body in forms if (fact := read_fact(body))):
        ids[fact.stream.id, fact.stream.version].add(fact.id)
    for change, names in ids.items():
        if len(names) > 1:
            yield _broken(Invariant.I7, f"stream {change[0]}, version {change[1]}", f"has ids {sorted(names)}")


def _firsts(events: Sequence[Event]) -> list[Fact]:
    """Return the first appearance of every event, in order."""
    firsts: dict[str, Fact] = {}
    for event in events:
        fact = read_fact(event.body)
        if fact is not None:
            firsts.setdefault(fact.id, fact)
    return list(firsts.values())


def _broken(invariant: Invariant, what: str, detail: str) -> Violation:
    return Violation(invariant=invariant, what=what, detail=detail)
