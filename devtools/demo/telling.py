"""What there is to tell of an act, once it is known what came of it."""

from collections.abc import Sequence

from devtools.demo.acts import Ask
from devtools.demo.board import Mood
from devtools.demo.ledger import Answer


def remark(ask: Ask, answers: Sequence[Answer], *, before: Answer | None) -> tuple[str, Mood] | None:
    """Return a line on the answers that a command has had and its mood, None where all is ordinary.

    `before` is the answer that the same command had when it was first sent.
    """
    if amiss := _amiss(ask, answers, before):
        return f"{ask.telling or f'sends {ask.command}'}: {amiss}", Mood.BAD
    return (f"{ask.telling}: {_outcome(ask, answers[0], before)}", Mood.ODD) if ask.telling else None


def _amiss(ask: Ask, answers: Sequence[Answer], before: Answer | None) -> str:
    """Return what is not as it should be, if anything."""
    if len(answers) < ask.times:
        return "no answer"
    wrong = [answer.word for answer in answers if answer.word != ask.expects]
    if wrong:
        return f"{wrong[0]}, not {ask.expects}"
    texts = {answer.text for answer in (*answers, *([before] if before else []))}
    return "another answer" if len(texts) > 1 else ""


def _outcome(ask: Ask, answer: Answer, before: Answer | None) -> str:
    if ask.times > 1:
        return "one answer"
    if before is not None:
        return "the same answer"
    return f"refused, {answer.word}" if answer.is_refusal else answer.word.replace("_", " ")
