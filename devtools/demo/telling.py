"""What there is to tell of an act, once it is known what came of it."""

from collections.abc import Sequence

from devtools.demo.acts import Ask
from devtools.demo.board import Mood
from devtools.demo.ledger import Answer


def remark(ask: Ask, answers: Sequence[Answer], *, before: Answer | None) -> tuple[str, Mood] | None:
    """Return a line on the answers to a command and its mood, None where all is ordinary.

    `before` is the answer that the same command had when it was first sent.
    """
    wrong = [answer.word for answer in answers if answer.word != ask.expects]
    if wrong:
        return f"{_deed(ask)}: {_said(wrong[0])}, not {ask.expects}", Mood.BAD
    if len({answer.text for answer in (*answers, *([before] if before else []))}) > 1:
        return f"{_deed(ask)}: another answer", Mood.BAD
    if not ask.telling:
        return None
    if ask.times > 1:
        return f"{ask.telling}: one answer", Mood.ODD
    if before is not None:
        return f"{ask.telling}: the same answer", Mood.ODD
    return f"{ask.telling}: {_outcome(answers)}", Mood.ODD


def _deed(ask: Ask) -> str:
    return ask.telling or f"sends {ask.command}"


def _outcome(answers: Sequence[Answer]) -> str:
    answer = answers[0]
    return f"refused, {answer.word}" if answer.is_refusal else _said(answer.word)


def _said(word: str) -> str:
    return word.replace("_", " ")
