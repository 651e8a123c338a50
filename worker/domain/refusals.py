"""Why a command was not carried out. Refusals are outcomes: they are stored and answered like successes."""

from dataclasses import dataclass

from worker.domain.commands import Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """No such stream, or the device never had one."""

    selector: Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageIdReused:
    """This sender used this message id for another command; nothing was changed."""

    message_id: str


Refusal = NotFound | MessageIdReused
