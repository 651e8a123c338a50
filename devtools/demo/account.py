"""The books in words: a row for each sum, and a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devtools.demo.books import Books

_WORDS: Final = {"unanswerable": "that cannot be answered"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sum, and what it is made of."""

    name: str
    sum: int
    parts: str
    is_good: bool = True


def account(books: Books) -> Sequence[Row]:
    """Return the rows. The commands are the replies, the problems and the dead letters, and what is named in theirs."""
    commands = _parts(books.commands)
    if books.abandoned:
        commands += f" · {books.abandoned} by a device that died before its answer"
    again = f" · {books.heard_again} heard twice, known by their id" if books.heard_again else ""
    lost = {**books.lost, **books.wrong}
    return [
        Row(name="commands", sum=sum(books.commands.values()), parts=commands),
        Row(name="replies", sum=sum(books.replies.values()), parts=_parts(books.replies)),
        Row(name="problems", sum=sum(books.problems.values()), parts=_parts(books.problems)),
        Row(name="dead letters", sum=sum(books.dead_letters.values()), parts=_parts(books.dead_letters)),
        Row(name="events", sum=sum(books.events.values()), parts=_parts(books.events) + again),
        Row(
            name="repeats",
            sum=books.repeats,
            parts=f"{books.absorbed} absorbed: the first answer again, and no second effect",
            is_good=books.absorbed == books.repeats or bool(books.under_way),
        ),
        Row(name="gaps", sum=len(books.gaps), parts=", ".join(books.gaps), is_good=not books.gaps),
        Row(name="lost", sum=sum(books.lost.values()), parts=_parts(lost), is_good=not lost),
    ]


def verdict(books: Books) -> str:
    """Return what it comes to, in a sentence."""
    if not books.balance:
        return "The books do not balance."
    if books.under_way:
        return f"Nothing is lost so far; still under way: {_parts(books.under_way)}."
    return "The books balance: nothing is lost, nothing happened twice, no history has a gap."


def _parts(counts: Mapping[str, int]) -> str:
    """Return the counts by their names, the largest first."""
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return " · ".join(f"{_WORDS.get(name, name).removeprefix('stream.')} {count}" for name, count in ordered if count)
