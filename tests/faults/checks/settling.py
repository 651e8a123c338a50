"""What was on the wire before each acknowledgement: I13."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.faults.checks.reading import read_fact, read_told
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import History, Key
from tests.faults.snapshot import Snapshot
from tests.faults.wire_log import Direction, Seen

_TO_BROKER, _TO_WORKER = Direction.TO_BROKER, Direction.TO_WORKER


def confirms_come_first(seen: Sequence[Seen], history: History, snapshot: Snapshot) -> list[Violation]:
    """I13. Between a command's delivery and its acknowledgement a reply of its own (or its dead letter) is
    published and confirmed or refused, and by then so is its event, whenever that was. Where there were answers,
    there were acknowledgements to be seen.

    `seen` is of all workers of the trial. A command without a message id cannot be followed on the wire. One that
    was refused because its message id was another's owes its reply, and not the other's event. An event may wait
    behind a lower one of its device that the broker has refused.
    """
    replies, events, misused = _replies(history), _events(history, snapshot), _misused(history)
    wire = _Wire()
    found = list(_unseen(seen, history))
    for at, frame in enumerate(sorted(seen, key=lambda frame: frame.at_s)):
        for delivery in wire.acknowledged_by(at, frame):
            name = delivery.message_id or ""
            owed = () if delivery.correlation_id in misused else events.get(name, ())
            missing = [
                f"event {event.id}" for event in owed if not (wire.is_out(event.id) or wire.holds_up(event))
            ]
            if name in replies and not wire.takes_one_of(replies[name], since=delivery.at):
                missing.append("its reply")
            found += [_early(frame, name, what) for what in missing]
    return found


def _unseen(seen: Sequence[Seen], history: History) -> Iterator[Violation]:
    """Who looked at the wrong wire, or at none, has not seen that all is well."""
    is_ack = ((frame.direction, frame.method) == (_TO_BROKER, "Basic.Ack") for frame in seen)
    if history.answers and not any(is_ack):
        detail = f"{len(history.answers)} answers, and no acknowledgement by a worker was seen"
        yield Violation(invariant=Invariant.I13, what="the wire", detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    """A message that passed, and its place in the log."""

    at: int
    message_id: str | None
    correlation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owed:
    """An event, and those of its device that go before it."""

    id: str
    before: frozenset[str]


class _Wire:
    """What is under way: publishes without a confirm, deliveries without an acknowledgement."""

    def __init__(self) -> None:
        self._publishes: defaultdict[str, dict[int, _Passed]] = defaultdict(dict)
        self._deliveries: defaultdict[str, dict[int, _Passed]] = defaultdict(dict)
        self._out: defaultdict[str, list[int]] = defaultdict(list)
        self._ever_out: set[str] = set()
        self._refused: set[str] = set()

    def acknowledged_by(self, at: int, frame: Seen) -> list[_Passed]:
        """Take note of a frame, and return the deliveries that it acknowledges."""
        passed = _Passed(at=at, message_id=frame.message_id, correlation_id=frame.correlation_id)
        match frame.direction, frame.method:
            case Direction.TO_BROKER, "Basic.Publish":
                self._publishes[frame.connection][frame.delivery_tag] = passed
            case Direction.TO_WORKER, "Basic.Deliver":
                self._deliveries[frame.connection][frame.delivery_tag] = passed
            case Direction.TO_WORKER, "Basic.Ack" | "Basic.Nack":
                self._confirm(frame)
            case Direction.TO_BROKER, "Basic.Ack":
                return _meant(self._deliveries[frame.connection], frame)
            case Direction.TO_BROKER, "Basic.Nack" | "Basic.Reject":
                _meant(self._deliveries[frame.connection], frame)
            case _:
                pass
        return []

    def is_out(self, message_id: str) -> bool:
        """Whether it was ever confirmed or refused."""
        return message_id in self._ever_out

    def holds_up(self, event: _Owed) -> bool:
        """Whether one that goes before it was refused, and not confirmed since."""
        return not self._refused.isdisjoint(event.before)

    def takes_one_of(self, message_ids: frozenset[str], *, since: int) -> bool:
        """Use up one message that is out and was published since: it stands for one delivery only. The first that
        was published, for what came later can stand for a later delivery too.
        """
        fitting = [(at, message_id) for message_id in message_ids for at in self._out[message_id] if at > since]
        if not fitting:
            return False
        at, message_id = min(fitting)
        self._out[message_id].remove(at)
        return True

    def _confirm(self, frame: Seen) -> None:
        for passed in _meant(self._publishes[frame.connection], frame):
            if passed.message_id is not None:
                self._out[passed.message_id].append(passed.at)
                self._ever_out.add(passed.message_id)
                if frame.method == "Basic.Nack":
                    self._refused.add(passed.message_id)
                else:
                    self._refused.discard(passed.message_id)


def _meant(waiting: dict[int, _Passed], frame: Seen) -> list[_Passed]:
    """Take out what a frame settles: one tag, or all up to it."""
    tags = [tag for tag in waiting if tag == frame.delivery_tag or (frame.multiple and tag < frame.delivery_tag)]
    return [waiting.pop(tag) for tag in tags]


def _replies(history: History) -> Mapping[str, frozenset[str]]:
    """Return by a command's message id those of its replies, and its own: a dead letter keeps it. Commands of
    which one asks for no answer, or none was ever heard, are not judged.
    """
    requests = history.by_correlation_id
    found: defaultdict[str, set[str]] = defaultdict(set)
    for answer in history.answers:
        request = requests.get(answer.correlation_id or "")
        if request and request.message_id and answer.message_id:
            found[request.message_id] |= {answer.message_id, request.message_id}
    silent = {request.message_id for request in history.requests if request.reply_to is None}
    return {name: frozenset(ids) for name, ids in found.items() if name not in silent}


def _misused(history: History) -> frozenset[str | None]:
    """Return the correlation ids under which somebody was told that the message id was another command's."""
    return frozenset(a.correlation_id for a in history.answers if read_told(a.body).word == "message_id_reused")


def _events(history: History, snapshot: Snapshot) -> Mapping[str, Sequence[_Owed]]:
    """Return by a command's message id the event it caused, where only one sender has used that id."""
    keys: set[Key] = {request.key for request in history.requests if request.key}
    senders = defaultdict(set)
    for sender, message_id in keys:
        senders[message_id].add(sender)
    found: defaultdict[str, list[_Owed]] = defaultdict(list)
    for cause, event in _caused(snapshot):
        if len(senders[cause]) == 1:
            found[cause].append(event)
    return found


def _caused(snapshot: Snapshot) -> Iterator[tuple[str, _Owed]]:
    before: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for row in sorted(snapshot.events, key=lambda row: row.sequence):
        fact = read_fact(row.body)
        if fact and fact.cause:
            yield fact.cause, _Owed(id=row.event_id, before=before[row.device_id])
        before[row.device_id] |= {row.event_id}


def _early(frame: Seen, message_id: str, what: str) -> Violation:
    detail = f"acknowledged at {frame.at_s:.3f} s on {frame.connection} before {what} was confirmed"
    return Violation(invariant=Invariant.I13, what=f"message id {message_id}", detail=detail)
