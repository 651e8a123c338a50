"""Do the books balance: what was sent against what was heard. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devtools.demo.ledger import Answer, Asked, Fact, Ledger
from schemas import CommandName, EventName, Outcome

_EVENT_OF: Final[Mapping[str, str]] = {
    Outcome.CREATED: EventName.CREATED,
    Outcome.STOPPED: EventName.STOPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The sums. What should have come and has not is `under_way`, and `lost` once nothing more can come; `wrong`
    is what should not have come. In `gaps` are the devices whose events were not first heard as 1, 2, 3 ….
    """

    commands: Mapping[str, int]
    replies: Mapping[str, int]
    problems: Mapping[str, int]
    dead_letters: Mapping[str, int]
    abandoned: int
    events: Mapping[str, int]
    repeats: int
    absorbed: int
    under_way: Mapping[str, int]
    lost: Mapping[str, int]
    wrong: Mapping[str, int]
    gaps: Collection[str]

    @property
    def balance(self) -> bool:
        """Whether nothing is lost, nothing is wrong, and every history is without a gap."""
        return not (self.lost or self.wrong or self.gaps)


def books(ledger: Ledger, *, is_over: bool) -> Books:
    """Make them of what is known now; `is_over` where all that could come was waited for."""
    facts = list({fact.event_id: fact for fact in ledger.facts}.values())
    letters = {letter.body: letter.reason for letter in ledger.letters}
    answers = list(ledger.answers.values())
    missing = _counted(
        {
            "commands without an answer": len(ledger.waiting),
            "events not heard": len(_claimed(answers) - {(fact.stream_id, fact.kind) for fact in facts}),
            "dead letters not kept": len(ledger.thrown.keys() - letters.keys()),
        }
    )
    repeats = _repeats(ledger)
    return Books(
        commands=Counter(_kind(asked.command) for asked in ledger.asked.values())
        + Counter(unanswerable=len(ledger.thrown)),
        replies=Counter(answer.word for answer in answers if not answer.is_refusal),
        problems=Counter(answer.word for answer in answers if answer.is_refusal),
        dead_letters=Counter(letters.values()),
        abandoned=len(ledger.abandoned),
        events=Counter(fact.kind for fact in facts),
        repeats=len(repeats),
        absorbed=sum(_is_answered_alike(ledger, first, repeat) for first, repeat in repeats),
        under_way={} if is_over else missing,
        lost=missing if is_over else {},
        wrong=_wrong(ledger, facts, repeats, letters),
        gaps=sorted(_gaps(facts)),
    )


def _kind(command: str) -> str:
    return command if command in set(CommandName) else "unknown"


def _counted(counts: Mapping[str, int]) -> Mapping[str, int]:
    return {what: count for what, count in counts.items() if count}


def _wrong(
    ledger: Ledger,
    facts: Sequence[Fact],
    repeats: Iterable[tuple[int, int]],
    letters: Mapping[bytes, str],
) -> Mapping[str, int]:
    """Count what came and should not have, by kind."""
    wanted = {(asked.message_id, _EVENT_OF.get(asked.expects)) for asked in ledger.asked.values()}
    return _counted(
        {
            "other answers than there should be": sum(
                not _is_owed(ledger.asked[number], answer) for number, answer in ledger.answers.items()
            ),
            "repeats answered otherwise": sum(
                repeat in ledger.answers and not _is_answered_alike(ledger, first, repeat)
                for first, repeat in repeats
            ),
            "commands carried out twice": sum(
                count > 1 for count in Counter(fact.cause for fact in facts).values()
            ),
            "events heard twice": len(ledger.facts) - len(facts),
            "events that nobody asked for": sum((fact.cause, fact.kind) not in wanted for fact in facts),
            "devices with two streams at once": sum(_has_two_at_once(some) for some in _by_device(facts).values()),
            "dead letters for no reason of ours": sum(
                ledger.thrown.get(body) != reason for body, reason in letters.items()
            ),
        }
    )


def _is_owed(asked: Asked, answer: Answer) -> bool:
    """Whether it is the answer that a command has to have, and speaks of the device that asked."""
    return answer.word == asked.expects and (answer.is_refusal or answer.device_id == asked.device_id)


def _claimed(answers: Iterable[Answer]) -> set[tuple[str | None, str]]:
    """Return the facts that the answers speak of, each of which is an event."""
    return {(answer.stream_id, _EVENT_OF[answer.word]) for answer in answers if answer.word in _EVENT_OF}


def _repeats(ledger: Ledger) -> Sequence[tuple[int, int]]:
    """Return the number of each command that was sent before, behind that of the first one with an answer."""
    same: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number, asked in ledger.asked.items():
        same[asked.message_id, asked.command, asked.body].append(number)
    return list(_pairs(same.values(), ledger))


def _pairs(same: Iterable[Sequence[int]], ledger: Ledger) -> Iterator[tuple[int, int]]:
    for numbers in same:
        first = next((number for number in numbers if number in ledger.answers), numbers[0])
        for repeat in numbers[1:]:
            yield first, repeat


def _is_answered_alike(ledger: Ledger, first: int, repeat: int) -> bool:
    """Whether a repeat has the answer of the first; if nobody heard that one, it is the first to hear it."""
    answers = ledger.answers
    return repeat in answers and answers[repeat].text == answers[first].text


def _by_device(facts: Iterable[Fact]) -> Mapping[str, Sequence[Fact]]:
    found: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        found[fact.device_id].append(fact)
    return found


def _gaps(facts: Iterable[Fact]) -> Iterator[str]:
    for device_id, some in _by_device(facts).items():
        if [fact.sequence for fact in some] != list(range(1, len(some) + 1)):
            yield device_id


def _has_two_at_once(facts: Sequence[Fact]) -> bool:
    """Whether a device's history is anything but a stream that begins and ends, and then the next."""
    for before, fact in zip([None, *facts], facts, strict=False):
        if fact.kind == EventName.CREATED:
            if before is not None and before.kind == EventName.CREATED:
                return True
        elif before is None or (before.kind, before.stream_id) != (EventName.CREATED, fact.stream_id):
            return True
    return False
