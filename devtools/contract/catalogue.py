"""The problems, for people."""

from collections.abc import Sequence
from typing import Final

from schemas import PROBLEMS
from worker.amqp.guard import HEADER_BYTES_MAX

ORDER: Final = (
    f"The first that applies decides, in the order: headers undecodable or over {HEADER_BYTES_MAX // 1024} KiB "
    "and `reply_to` not allowed (both dead letters), size, media type, `type`, JSON, shape and `message_id`, who "
    "may, rate, age, then the stored outcome of the same `message_id`, then the command itself. Of these "
    "answers only `not_found` is remembered, and given to every repeat of a command with a `message_id`; the "
    "others are worked out anew each time. A message without `reply_to` that ends in 400, 413, 415 or 422 is "
    "dead-lettered, and so is an `internal` one; in any other problem it is counted and logged."
)


def problem_rows() -> Sequence[Sequence[str]]:
    """Return one row a code: code, status, whether it is retryable, when, what to do."""
    return [
        [f"`{code}`", str(kind.status), "yes" if kind.retryable else "no", kind.when, kind.remedy]
        for code, kind in PROBLEMS.items()
    ]


PROBLEM_TITLES: Final = ("code", "status", "retryable", "when", "what to do")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def problem_catalogue() -> str:
    """Return what is to be known of all problems."""
    advice = (
        "Go by `code` in a program. One that you do not know came later than your program: `retryable` and "
        "`status` say what kind it is. Where `retryable` is true, ask again later with the same `message_id`; "
        "where it is false, to repeat the command does not help: do what the table says, with a new `message_id`."
    )
    return f"{advice}\n\n{table(PROBLEM_TITLES, problem_rows())}\n{ORDER}\n"
