"""What was sent and what was heard, as it happens; the books are made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A command that was sent once, and what its answer has to be."""

    device_id: str
    command: str
    body: str
    message_id: str
    expects: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command was told: `word` is the outcome or the problem's code, `text` all of it.

    `device_id` and `stream_id` are the stream that it speaks of; a problem speaks of none.
    """

    word: str
    text: str
    device_id: str | None = None
    stream_id: str | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the command was not carried out."""
        return self.stream_id is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """An event as the subscriber heard it, once for each time; `cause` is the message id of its command."""

    event_id: str
    kind: str
    device_id: str
    stream_id: str
    code: str
    sequence: int
    cause: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter, known by its body."""

    body: bytes
    reason: str


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Everything, in the order in which it came. Commands have numbers; so do their answers.

    Who sent a command in `abandoned` has not waited for an answer. `thrown` are the messages without one, by their
    bodies, with the reason for which they have to be dead letters.
    """

    asked: dict[int, Asked] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    abandoned: set[int] = field(default_factory=set)
    thrown: dict[bytes, str] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)

    def ask(self, asked: Asked) -> int:
        """Write down that it is sent now, and return its number."""
        number = len(self.asked) + 1
        self.asked[number] = asked
        return number

    @property
    def waiting(self) -> Mapping[int, Asked]:
        """The commands that still wait for their answer."""
        return {
            number: asked
            for number, asked in self.asked.items()
            if number not in self.answers and number not in self.abandoned
        }
