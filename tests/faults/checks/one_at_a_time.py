"""Would one worker that takes one command at a time have answered the same? I14.

Devices do not touch each other, so each is judged by itself; and the events of a device tell in which order it
changed. What is left to find is the place of the answers that changed nothing, and for that there are two
witnesses: the version of the stream that the answer shows, and time, for what was answered before something else
was asked also came before it. With every answer in its place, `tests.support.model` is asked the same.
"""

import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.faults.checks.reading import Fact, Stream, Told, read_fact, read_told
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import Answer, History, Request
from tests.faults.snapshot import Snapshot
from tests.support.model import Ask, Model, Verb
from tests.support.model import Told as ModelTold

_NEVER_S: Final = float("inf")
_VERBS: Final[Mapping[str, Verb]] = {"stream.create": "create", "stream.stop": "stop", "stream.get": "get"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A command of one device that was carried out: what was meant, what was told, and when, at the widest.

    `place` counts half steps in the device's life: 2n after its n-th event, 2n-1 for that event itself.
    """

    name: str
    ask: Ask
    told: Told
    place: int
    asked_at_s: float
    told_at_s: float


def one_at_a_time_agrees(history: History, snapshot: Snapshot) -> list[Violation]:
    """I14. By device, some order of its commands explains every answer, and is one that time allows.

    A device's first disagreement is named; what follows may follow from it.
    """
    book = _Book(snapshot)
    lives: defaultdict[str, list[_Done]] = defaultdict(list)
    found: list[Violation] = []
    for request, told, span_s in [*_keyed(history, snapshot), *_nameless(history)]:
        device_id = book.device_of(request)
        if device_id is None or told.is_retryable:
            continue  # a code or id that never was; or not carried out at all
        done = book.place(device_id, request, told, span_s)
        if done is None:
            found.append(_untrue(device_id, f"{request.kind} {request.body!r}", f"told what never was: {told}"))
        else:
            lives[device_id].append(done)
    for device_id, life in lives.items():
        found += book.disagreements(device_id, life)
    return found


def _keyed(history: History, snapshot: Snapshot) -> Iterator[tuple[Request, Told, tuple[float, float]]]:
    """Return what is remembered, once each, from the first asking to the first answer."""
    answers = _answers(history)
    requests: defaultdict[object, list[Request]] = defaultdict(list)
    for request in history.requests:
        requests[request.key].append(request)
    for row in snapshot.handled:
        sayings = {(request.kind, request.body) for request in requests[row.key]}
        meant = [
            request
            for request in requests[row.key]
            if len(sayings) == 1 or any(a.body == row.reply_body for a in answers[request.correlation_id])
        ]
        if meant:
            said = (meant[0].kind, meant[0].body)
            same = [request for request in requests[row.key] if (request.kind, request.body) == said]
            told_s = [a.at_s for request in same for a in answers[request.correlation_id]]
            span_s = min(request.at_s for request in same), min(told_s, default=_NEVER_S)
            yield meant[0], read_told(row.reply_body), span_s


def _nameless(history: History) -> Iterator[tuple[Request, Told, tuple[float, float]]]:
    """Return every answer to a command without a message id: each, by a message id of its own, speaks of a time
    that it was carried out. The same message again is no other answer.
    """
    answers = _answers(history)
    for request in history.requests:
        if request.key is None and not request.is_poison:
            firsts = {answer.message_id: answer for answer in reversed(answers[request.correlation_id])}
            for answer in firsts.values():
                yield request, read_told(answer.body), (request.at_s, answer.at_s)


def _answers(history: History) -> Mapping[str | None, Sequence[Answer]]:
    answers: defaultdict[str | None, list[Answer]] = defaultdict(list)
    for answer in history.answers:
        answers[answer.correlation_id].append(answer)
    return answers


class _Book:
    """The devices' lives as the database tells them."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._facts: defaultdict[str, list[Fact]] = defaultdict(list)
        for row in sorted(snapshot.events, key=lambda row: row.sequence):
            if fact := read_fact(row.body):
                self._facts[row.device_id].append(fact)
        self._devices = {name: row.device_id for row in snapshot.streams for name in (row.id, row.code)}
        # A stream's number is its place among all streams of its device, as in the model.
        begun = {d: [f.stream for f in facts if f.stream.version == 1] for d, facts in self._facts.items()}
        self._numbers = {n: i for streams in begun.values() for i, s in enumerate(streams) for n in (s.id, s.code)}
        self._places = {
            (device_id, fact.stream.id, fact.stream.version): place
            for device_id, facts in self._facts.items()
            for place, fact in enumerate(facts, 1)
        }

    def device_of(self, request: Request) -> str | None:
        body = json.loads(request.body)
        if "device_id" in body:
            return str(body["device_id"])
        return self._devices.get(body.get("stream_id") or body.get("code"))

    def place(self, device_id: str, request: Request, told: Told, span_s: tuple[float, float]) -> _Done | None:
        """Return the command in its place by what it was told; None where the device never was like that."""
        if told.stream:
            after = self._places.get((device_id, told.stream.id, told.stream.version))
        else:
            after = 0 if told.word == "not_found" else None
        if after is None:
            return None
        return _Done(
            name=f"{request.kind} {request.body!r}, message id {request.message_id}",
            ask=self._ask(request),
            told=told,
            place=2 * after - told.is_change,
            asked_at_s=span_s[0],
            told_at_s=span_s[1],
        )

    def _ask(self, request: Request) -> Ask:
        body = json.loads(request.body)
        named = body.get("stream_id") or body.get("code")
        return Ask(verb=_VERBS[request.kind], meant=self._numbers.get(named) if named else body["device_id"])

    def disagreements(self, device_id: str, life: Iterable[_Done]) -> Iterator[Violation]:
        """Live through it with the model beside, as far as both say the same."""
        model, facts, lived = Model(), self._facts[device_id], 0
        for done in sorted(_as_time_allows(life), key=lambda done: done.place):
            while 2 * lived < done.place - done.told.is_change:
                _happen(model, facts[lived])
                lived += 1
            lived += done.told.is_change
            expected = model.answer(done.ask, sender="", message_id=None, said=b"")
            if expected != self._in_the_models_words(done.told):
                yield _untrue(device_id, done.name, f"told {done.told}, where the model says {expected}")
                return

    def _in_the_models_words(self, told: Told) -> ModelTold:
        stream: Stream | None = told.stream
        if stream is None:
            return told.word, None
        return told.word, (self._numbers[stream.id], stream.device_id, stream.status, stream.version)


def _as_time_allows(life: Iterable[_Done]) -> Iterator[_Done]:
    """Move each behind whatever had been answered before it was asked."""
    answered: list[tuple[float, int]] = []
    floor = 0
    for done in sorted(life, key=lambda done: done.asked_at_s):
        while answered and answered[0][0] < done.asked_at_s:
            floor = max(floor, heapq.heappop(answered)[1])
        moved = replace(done, place=max(done.place, floor))
        heapq.heappush(answered, (moved.told_at_s, moved.place))
        yield moved


def _happen(model: Model, fact: Fact) -> None:
    verb: Verb = "create" if fact.type == "stream.created" else "stop"
    model.answer(Ask(verb=verb, meant=fact.stream.device_id), sender="", message_id=None, said=b"")


def _untrue(device_id: str, what: str, detail: str) -> Violation:
    return Violation(invariant=Invariant.I14, what=f"device {device_id}, {what}", detail=detail)
