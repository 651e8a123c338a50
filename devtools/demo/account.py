"""The books in words: a row for each sum, and a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devtools.demo.books import Books

_ABSORBED: Final = "the first answer again, and no second effect"
_NO_GAP: Final = "each device's events were heard as 1, 2, 3 …"
_NONE_LOST: Final = "each command was answered or kept, each change was heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sum, and what it is made of; some can be good or bad."""

    name: str
    sum: int
    parts: str
    is_good: bool | None = None


def account(books: Books) -> Sequence[Row]:
    """Return the rows. The commands are as many as the replies, the problems, the dead letters and those whose
    sender died before its answer.
    """
    commands = _parts(books.commands)
    if books.abandoned:
        commands += f" · {books.abandoned} whose sender died"
    absorbed = f"{books.absorbed} absorbed: {_ABSORBED}" if books.repeats else ""
    rows = [
        Row(name="commands", sum=sum(books.commands.values()), parts=commands),
        Row(name="replies", sum=sum(books.replies.values()), parts=_parts(books.replies)),
        Row(name="problems", sum=sum(books.problems.values()), parts=_parts(books.problems)),
        Row(name="dead letters", sum=sum(books.dead_letters.values()), parts=_parts(books.dead_letters)),
        Row(name="events", sum=sum(books.events.values()), parts=_parts(books.events)),
        Row(name="repeats", sum=books.repeats, parts=absorbed),
        Row(name="gaps", sum=len(books.gaps), parts=", ".join(books.gaps) or _NO_GAP, is_good=not books.gaps),
        Row(name="lost", sum=sum(books.lost.values()), parts=_losses(books), is_good=not books.lost),
    ]
    if books.wrong:
        rows.append(Row(name="wrong", sum=sum(books.wrong.values()), parts=_parts(books.wrong), is_good=False))
    return rows


def _losses(books: Books) -> str:
    under_way = f"still under way: {_parts(books.under_way)}" if books.under_way else ""
    return _parts(books.lost) or under_way or _NONE_LOST


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
    return " · ".join(f"{name.removeprefix('stream.')} {count}" for name, count in ordered if count)
