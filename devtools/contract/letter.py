"""What a dead letter has, beside what its message had."""

from collections.abc import Sequence
from typing import Any, Final

from devtools.contract.properties import Property
from devtools.contract.shape import OPEN_LIST
from schemas import ProblemCode
from worker.amqp.codec.decode import REPLY_TO_NOT_ALLOWED, UNDECODABLE
from worker.amqp.dead_letters import DETAIL_CHARS_MAX

REASONS: Final = (*(code.value for code in ProblemCode), UNDECODABLE, REPLY_TO_NOT_ALLOWED)


def _header(name: str, schema: dict[str, Any], text: str, *, required: bool = False) -> Property:
    return Property(name=name, schema=schema, text=text, required=required, is_header=True)


LETTER_PROPERTIES: Final[Sequence[Property]] = (
    _header(
        "x-streams-reason",
        {"type": "string", OPEN_LIST: [*REASONS]},
        "Why it could not become a reply: a problem's code, `undecodable` (properties that cannot be read, or "
        "over 16 KiB of them) or `reply_to_not_allowed`.",
    ),
    _header(
        "x-streams-detail",
        {"type": "string", "maxLength": DETAIL_CHARS_MAX},
        "The reason in a sentence, for people.",
    ),
    _header("x-streams-failed-at", {"type": "string", "format": "date-time"}, "When it was given up, in UTC."),
    _header(
        "x-streams-attempts",
        {"type": "integer", "minimum": 1},
        "How often it was delivered, as the broker counts.",
    ),
    _header("x-streams-exchange", {"type": "string"}, "The exchange it was published to."),
    _header("x-streams-routing-key", {"type": "string"}, "The routing key it was published with."),
    _header("x-streams-worker", {"type": "string"}, "The worker that gave it up."),
    _header(
        "x-streams-nameless",
        {"type": "boolean", "const": True},
        "Only where the message had no `message_id`: the letter's own was made up on its way.",
    ),
    _header(
        "x-streams-user-id", {"type": "string"}, "The message's `user_id`, which the broker would refuse here."
    ),
    _header(
        "x-streams-expiration",
        {"type": "string"},
        "The message's `expiration`, which would cost the letter its life here.",
    ),
    _header(
        "x-death",
        {"type": "array", "items": {"type": "object"}},
        "Only in a letter that the broker made by itself (delivery limit reached, expired): its own account of "
        "it. An `x-streams-…` beside it is the sender's word, not the worker's.",
    ),
    Property(
        name="delivery_mode",
        schema={"type": "integer", "enum": [1, 2]},
        text="2 (persistent) in every letter that the worker made.",
    ),
)
