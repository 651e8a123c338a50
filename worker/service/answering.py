"""What a batch has to say once it is saved: a pure function of what came in and what was decided."""

import logging
from collections.abc import Sequence
from typing import Final

from worker.service.messages import (
    Answer,
    DeadLetter,
    Incoming,
    Received,
    Refused,
    Reply,
    Said,
    StoredEvent,
)
from worker.service.ports import Renderer

INTERNAL: Final = "internal"

log = logging.getLogger(__name__)


def said_of(
    incoming: Sequence[Incoming],
    *,
    answers: Sequence[Answer],
    events: Sequence[StoredEvent],
    renderer: Renderer,
) -> Said:
    """Return replies and dead letters in the order in which the batch came; `answers` are its commands'."""
    replies: list[Reply] = []
    letters: list[DeadLetter] = []
    by_command = iter(answers)
    for message in incoming:
        match message:
            case Received():
                replies.extend(_replies(message, next(by_command), renderer))
            case Refused():
                replies.extend(_replies(message, message.answer, renderer))
                letters.extend(_kept(message))
            case _:
                letters.append(_letter(message, message.reason, message.detail))
    return Said(
        events=events, replies=replies, letters=letters, deliveries=[message.delivery for message in incoming]
    )


def said_of_failure(message: Received, *, detail: str, renderer: Renderer) -> Said:
    """Return what is said of a command that failed again and again on its own: `internal`, and a dead letter."""
    return Said(
        replies=_replies(message, renderer.failure(), renderer),
        letters=[_letter(message, INTERNAL, detail)],
        deliveries=[message.delivery],
    )


def _replies(message: Received | Refused, answer: Answer, renderer: Renderer) -> list[Reply]:
    if message.reply_to is None:
        if answer.problem is not None:
            log.info("command.refused_unasked", extra={"code": answer.problem})
        return []
    message_id = renderer.reply_id(message.key, answer)
    return [Reply(delivery=message.delivery, to=message.reply_to, message_id=message_id, answer=answer)]


def _kept(message: Refused) -> list[DeadLetter]:
    """A refusal that nobody hears is kept where an operator can find it, if it is of that kind."""
    if message.reply_to is not None or not message.keep or message.answer.problem is None:
        return []
    return [_letter(message, message.answer.problem, message.detail)]


def _letter(message: Incoming, reason: str, detail: str) -> DeadLetter:
    return DeadLetter(delivery=message.delivery, reason=reason, detail=detail)
