"""The books balance: I1, I8 and I9."""

from collections import Counter
from collections.abc import Iterator

from tests.faults.checks.reading import read_told
from tests.faults.checks.violation import Invariant, Violation
from tests.faults.history import Fate, History, Letter, Request
from tests.faults.snapshot import Snapshot

_MUTATIONS = frozenset({"stream.create", "stream.stop"})


def nothing_is_lost(history: History, snapshot: Snapshot) -> list[Violation]:
    """I1. What the broker confirmed is remembered, answered or dead-lettered; what says that it changed something,
    and has a key, is remembered.
    """
    return list(_lost(history, snapshot))


def _lost(history: History, snapshot: Snapshot) -> Iterator[Violation]:
    remembered = {row.key for row in snapshot.handled}
    told = {answer.correlation_id: read_told(answer.body) for answer in history.answers}
    letters = _Letters(history.letters)
    for request in _expected(history):
        answer = told.get(request.correlation_id)
        if request.key in remembered or letters.of(request):
            continue
        if answer is None and (request.key or _can_be_answered(request, history)):
            yield _violation(Invariant.I1, request, "confirmed, and no trace of it")
        elif answer and answer.is_change and request.key and request.kind in _MUTATIONS:
            yield _violation(Invariant.I1, request, f"answered {answer.word}, and not remembered")


def everybody_is_answered(history: History, *, healed_at_s: float, within_s: float) -> list[Violation]:
    """I8. A first answer no later than `within_s` after the fault ended, or after it was asked; no answer under a
    correlation id that nobody used.
    """
    return [*_unanswered(history, healed_at_s, within_s), *_unasked(history)]


def _unanswered(history: History, healed_at_s: float, within_s: float) -> Iterator[Violation]:
    firsts: dict[str | None, float] = {}
    for answer in history.answers:
        firsts.setdefault(answer.correlation_id, answer.at_s)
    for request in _expected(history):
        if not _can_be_answered(request, history):
            continue
        first_s = firsts.get(request.correlation_id)
        late_s = 0.0 if first_s is None else first_s - max(healed_at_s, request.at_s) - within_s
        if first_s is None:
            yield _violation(Invariant.I8, request, "confirmed, and never answered")
        elif late_s > 0:
            yield _violation(Invariant.I8, request, f"answered {late_s:.1f} s too late")


def _unasked(history: History) -> Iterator[Violation]:
    asked = history.by_correlation_id
    for answer in history.answers:
        if answer.correlation_id not in asked:
            yield Violation(
                invariant=Invariant.I8,
                what=f"correlation id {answer.correlation_id}",
                detail=f"answered at {answer.heard_by}, and nobody asked under it",
            )


def poison_is_accounted_for(history: History, *, crashes: int = 0) -> list[Violation]:
    """I9. Each poison is answered or dead-lettered, and once; once more for each crash at most. Nothing else is
    dead-lettered, but what failed again and again by itself: that is answered `internal` too.
    """
    return [*_unaccounted(history, crashes), *_undeserved(history)]


def _unaccounted(history: History, crashes: int) -> Iterator[Violation]:
    answers = Counter(answer.correlation_id for answer in history.answers)
    letters = _Letters(history.letters)
    for request in history.requests:
        if not request.is_poison or request.fate is not Fate.CONFIRMED:
            continue
        answered, lettered = answers[request.correlation_id], letters.of(request)
        found = f"answered {answered} times, dead-lettered {lettered} times"
        if not answered and not lettered:
            yield _violation(Invariant.I9, request, found)
        elif max(answered, lettered) > 1 + crashes or (answered and lettered):
            yield _violation(Invariant.I9, request, f"{found}, with {crashes} crashes")


def _undeserved(history: History) -> Iterator[Violation]:
    internal = {a.correlation_id for a in history.answers if read_told(a.body).word == "internal"}
    letters = _Letters(history.letters)
    for request in history.requests:
        if not request.is_poison and request.correlation_id not in internal and letters.of(request):
            yield _violation(Invariant.I9, request, "dead-lettered, and there was nothing wrong with it")
    for letter in letters.of_nobody(history):
        what = f"dead letter {letter.message_id}, {letter.reason}"
        yield Violation(invariant=Invariant.I9, what=what, detail=f"nobody sent {letter.body[:80]!r}")


class _Letters:
    """Dead letters by whom they are of: the correlation id says it, and where that could not be read, the body."""

    def __init__(self, letters: tuple[Letter, ...]) -> None:
        self._letters = letters
        self._by_id = Counter(letter.correlation_id for letter in letters if letter.correlation_id)
        self._by_body = Counter(letter.body for letter in letters if not letter.correlation_id)

    def of(self, request: Request) -> int:
        return self._by_id[request.correlation_id] + self._by_body[request.body]

    def of_nobody(self, history: History) -> Iterator[Letter]:
        ids = {request.correlation_id for request in history.requests}
        bodies = {request.body for request in history.requests}
        for letter in self._letters:
            if not (letter.correlation_id in ids if letter.correlation_id else letter.body in bodies):
                yield letter


def _expected(history: History) -> Iterator[Request]:
    """What must have come through: confirmed, and not poison, whose books I9 keeps."""
    return (r for r in history.requests if r.fate is Fate.CONFIRMED and not r.is_poison)


def _can_be_answered(request: Request, history: History) -> bool:
    return request.reply_to is not None and request.reply_to not in history.gone


def _violation(invariant: Invariant, request: Request, detail: str) -> Violation:
    what = f"{request.kind} {request.body!r} of {request.asker}, message id {request.message_id}"
    return Violation(invariant=invariant, what=f"{what}, correlation id {request.correlation_id}", detail=detail)
