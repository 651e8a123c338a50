"""Every effect has its command, and every command that is remembered was asked: the half of I2 that asks why."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.faults.checks.reading import CHANGES, Fact, read_named, read_told
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import History, Request
from tests.faults.snapshot import Snapshot
from tests.faults.wire_log import Seen

_EFFECTS: Final = {"stream.create": "stream.created", "stream.stop": "stream.stopped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often a command without a message id may have been carried out: each time that it was delivered; where
    nobody watched that, once, and once more for each crash. What was delivered may have been carried out again in
    each of the `reruns`, when a worker began again because it could not know whether it had committed; nobody has
    counted them where they are infinite.
    """

    seen: Sequence[Seen] | None = None
    crashes: int = 0
    reruns: float = math.inf

    def of(self, requests: Sequence[Request]) -> Mapping[str, int]:
        """Return them by correlation id."""
        if self.seen is None:
            return {request.correlation_id: 1 + self.crashes for request in requests}
        return Counter(frame.correlation_id or "" for frame in self.seen if frame.method == "Basic.Deliver")


def causes_are_known(
    history: History, snapshot: Snapshot, facts: Sequence[Fact], chances: Chances
) -> Iterator[Violation]:
    """I2. An event that names its cause is what one row remembers of that command, and of no event else; one that
    names none is what a command without a message id was told, or may have done without being told.
    """
    yield from _unremembered(snapshot, facts)
    yield from _unexplained(history, snapshot, facts, chances)
    yield from _unasked(history, snapshot)


def _unremembered(snapshot: Snapshot, facts: Sequence[Fact]) -> Iterator[Violation]:
    remembered = Counter((row.message_id, *_change(row.reply_body)) for row in snapshot.handled)
    for fact in facts:
        effect = (fact.cause, fact.type, fact.stream.id)
        if fact.cause is not None and not remembered[effect]:
            detail = f"{fact.type} {fact.stream.id}, version {fact.stream.version}, which it is not remembered for"
            yield _broken(f"message id {fact.cause}", detail)
        remembered[effect] -= 1


def _unexplained(
    history: History, snapshot: Snapshot, facts: Sequence[Fact], chances: Chances
) -> Iterator[Violation]:
    """What was told explains itself. The rest is counted, by device and kind, and how often nobody may have been
    told.
    """
    nameless = {r.correlation_id: r for r in history.requests if r.key is None}
    answers = {(a.correlation_id or "", a.message_id): a for a in history.answers if a.correlation_id in nameless}
    told = {_change(answer.body) for answer in answers.values()}
    answered = Counter(name for (name, _), a in answers.items() if read_told(a.body).word != "unreadable")
    untold = Counter(
        (fact.stream.device_id, fact.type)
        for fact in facts
        if fact.cause is None and (fact.type, fact.stream.id) not in told
    )
    arrived = _arrived(nameless, snapshot, chances.of(list(nameless.values())))
    silent = arrived - _arrived(nameless, snapshot, answered)
    for effect, effects in untold.items():
        most = silent[effect] + min(chances.reruns, arrived[effect])
        if effects > most:
            detail = f"{effects} times {effect[1]} without a cause or an answer, and {most} can be explained"
            yield _broken(f"device {effect[0]}", detail)


def _arrived(
    requests: Mapping[str, Request], snapshot: Snapshot, times: Mapping[str, int]
) -> Counter[tuple[str, str]]:
    """Count by the device and the effect that were asked for. Poison counts: what kills a worker may have been
    carried out before.
    """
    devices = {name: stream.device_id for stream in snapshot.streams for name in (stream.id, stream.code)}
    arrived: Counter[tuple[str, str]] = Counter()
    for correlation_id, request in requests.items():
        named, effect = read_named(request.body), _EFFECTS.get(request.kind)
        if named is not None and effect is not None:
            arrived[devices.get(named, named), effect] += times.get(correlation_id, 0)
    return arrived


def _unasked(history: History, snapshot: Snapshot) -> Iterator[Violation]:
    asked = {request.key for request in history.requests}
    for row in snapshot.handled:
        if row.key not in asked:
            yield _broken(
                f"message id {row.message_id} of {row.sender or 'nobody'}", "remembered, and nobody asked it"
            )


def _change(reply: bytes) -> tuple[str, str]:
    """Return which event a reply speaks of, by its type and its stream's id."""
    told = read_told(reply)
    return CHANGES.get(told.word, ""), told.stream.id if told.stream else ""


def _broken(what: str, detail: str) -> Violation:
    return Violation(invariant=Invariant.I2, what=what, detail=detail)
