"""What commands did, and what their senders were told: I2, I5 and I10."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.faults.checks.causes import Chances, causes_are_known
from tests.faults.checks.reading import CHANGES, Fact, Stream, read_fact, read_told
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import Answer, History, Key, Request
from tests.faults.snapshot import HandledRow, Snapshot, StreamRow

ONE_CHANCE: Final = Chances()

Saying = tuple[str, bytes]
"""What a request says: its kind and its body. The same key with another saying is a misuse of the key."""

_REPLY: Final = ("stream.reply", "application/json")
_PROBLEM: Final = ("stream.problem", "application/problem+json")


def effects_happen_once(history: History, snapshot: Snapshot, chances: Chances = ONE_CHANCE) -> list[Violation]:
    """I2. A key has one effect, and it is the one that is remembered; no effect is without a cause. A stream's
    version is the number of its events, a device's sequence the number of all of its, and its latest stream the
    one that began last.
    """
    facts = [fact for row in snapshot.events if (fact := read_fact(row.body))]
    return [
        *causes_are_known(history, snapshot, facts, chances),
        *_half_done(snapshot, facts),
        *_miscounted(snapshot, facts),
        *_outdated(snapshot, facts),
    ]


def _half_done(snapshot: Snapshot, facts: Sequence[Fact]) -> Iterator[Violation]:
    happened = {(fact.cause, fact.type, fact.stream) for fact in facts}
    for row in snapshot.handled:
        told = read_told(row.reply_body)
        if told.stream and told.is_change and (row.message_id, CHANGES[told.word], told.stream) not in happened:
            detail = f"{told.word} {told.stream.id} is remembered, and there is no such event"
            yield _broken(Invariant.I2, f"message id {row.message_id} of {row.sender or 'nobody'}", detail)


def _miscounted(snapshot: Snapshot, facts: Sequence[Fact]) -> Iterator[Violation]:
    of_stream = Counter(fact.stream.id for fact in facts)
    of_device = Counter(fact.stream.device_id for fact in facts)
    for stream in snapshot.streams:
        if stream.version != of_stream[stream.id]:
            detail = f"version {stream.version}, {of_stream[stream.id]} events"
            yield _broken(Invariant.I2, f"stream {stream.id}", detail)
    for device in snapshot.devices:
        if device.sequence != of_device[device.id]:
            detail = f"sequence {device.sequence}, {of_device[device.id]} events"
            yield _broken(Invariant.I2, f"device {device.id}", detail)


def _outdated(snapshot: Snapshot, facts: Sequence[Fact]) -> Iterator[Violation]:
    begun = [fact for fact in facts if fact.type == "stream.created"]
    latest = {fact.stream.device_id: fact.stream.id for fact in sorted(begun, key=lambda fact: fact.sequence)}
    for device in snapshot.devices:
        if device.latest_stream_id != latest.get(device.id):
            detail = f"latest stream {device.latest_stream_id}, the last to begin was {latest.get(device.id)}"
            yield _broken(Invariant.I2, f"device {device.id}", detail)


def answers_agree(history: History, snapshot: Snapshot) -> list[Violation]:
    """I5. All answers to one key and one saying are the same, and the same as what is remembered; a second saying
    is told `message_id_reused`. An answer goes by the type of what it is, and what it shows of a stream is what
    the database has of it. Problems that are retryable are not remembered: only their type counts here.
    """
    remembered = {row.key: row for row in snapshot.handled}
    found: list[Violation] = []
    for key, by_saying in _answers(history).items():
        found += _differing(key, by_saying, remembered.get(key))
    return [*found, *_mislabelled(history), *_unlike_the_database(history, snapshot)]


def _answers(history: History) -> Mapping[Key, Mapping[Saying, Sequence[Answer]]]:
    requests = history.by_correlation_id
    answers: defaultdict[Key, defaultdict[Saying, list[Answer]]] = defaultdict(lambda: defaultdict(list))
    for answer in history.answers:
        request = requests.get(answer.correlation_id or "")
        if request and request.key and not read_told(answer.body).is_retryable:
            answers[request.key][request.kind, request.body].append(answer)
    return answers


def _differing(
    key: Key, by_saying: Mapping[Saying, Sequence[Answer]], row: HandledRow | None
) -> Iterator[Violation]:
    name = f"message id {key[1]} of {key[0] or 'nobody'}"
    carried_out: set[Saying] = set()
    for saying, answers in by_saying.items():
        forms = {(a.type, a.content_type, a.message_id, a.body) for a in answers}
        if len(forms) > 1:
            yield _broken(Invariant.I5, name, f"{len(forms)} different answers to {saying}: {forms}")
        first = answers[0]
        if read_told(first.body).word == "message_id_reused":
            continue
        carried_out.add(saying)
        if row and (first.type, first.content_type, first.body) != _form(row):
            yield _broken(Invariant.I5, name, f"answered {first.body!r}, remembered {row.reply_body!r}")
    if len(carried_out) > 1:
        yield _broken(Invariant.I5, name, f"different commands were carried out: {carried_out}")


def _form(row: HandledRow) -> tuple[str, str, bytes]:
    return row.reply_type, row.reply_content_type, row.reply_body


def _mislabelled(history: History) -> Iterator[Violation]:
    for answer in history.answers:
        told = read_told(answer.body)
        label = (answer.type, answer.content_type)
        if told.word != "unreadable" and label != (_REPLY if told.stream else _PROBLEM):
            what = f"answer to {answer.correlation_id} at {answer.heard_by}"
            yield _broken(Invariant.I5, what, f"it goes as {label}, and is {answer.body!r}")


def _unlike_the_database(history: History, snapshot: Snapshot) -> Iterator[Violation]:
    rows = {row.id: row for row in snapshot.streams}
    for answer in history.answers:
        told = read_told(answer.body)
        if told.word == "unreadable" or (told.stream and not _was_once(told.stream, rows.get(told.stream.id))):
            what = f"answer to {answer.correlation_id} at {answer.heard_by}"
            row = rows.get(told.stream.id) if told.stream else None
            yield _broken(Invariant.I5, what, f"it says {answer.body!r}, the database {row}")


def _was_once(stream: Stream, row: StreamRow | None) -> bool:
    """Whether the database's stream is this one, now or later in its life."""
    if row is None or stream.version > row.version:
        return False
    lasting = ("id", "device_id", "code", "created_at")
    changing = ("status", "stopped_at") if stream.version == row.version else ()
    return all(getattr(stream, name) == getattr(row, name) for name in (*lasting, *changing))


def senders_are_apart(history: History, snapshot: Snapshot) -> list[Violation]:
    """I10. An answer is heard where it was asked for, and is the asker's own: never what is remembered for another
    sender under the same message id.
    """
    requests = history.by_correlation_id
    remembered = {row.key: row.reply_body for row in snapshot.handled}
    senders: defaultdict[str, set[str]] = defaultdict(set)
    for row in snapshot.handled:
        senders[row.message_id].add(row.sender)
    found: list[Violation] = []
    for answer in history.answers:
        request = requests.get(answer.correlation_id or "")
        if request is None:
            continue
        what = f"answer to {request.correlation_id}, message id {request.message_id}"
        if answer.heard_by != request.asker:
            found.append(_broken(Invariant.I10, what, f"asked by {request.asker}, heard by {answer.heard_by}"))
        found += [
            _broken(Invariant.I10, what, f"asked by {request.sender!r}, answered as to {owner!r}")
            for owner in _other_owners(request, answer.body, senders, remembered)
        ]
    return found


def _other_owners(
    request: Request, body: bytes, senders: Mapping[str, set[str]], remembered: Mapping[Key, bytes]
) -> Iterator[str]:
    if request.key is None or remembered.get(request.key) == body:
        return
    for sender in senders.get(request.key[1], ()):
        if sender != request.sender and remembered[sender, request.key[1]] == body:
            yield sender


def _broken(invariant: Invariant, what: str, detail: str) -> Violation:
    return Violation(invariant=invariant, what=what, detail=detail)
