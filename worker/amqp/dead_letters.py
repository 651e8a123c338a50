"""Dead letters: every message that could not become a reply, with the reason in its headers."""

import copy
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from pamqp.commands import Basic

from worker.amqp.delivery import AmqpDelivery

DETAIL_CHARS_MAX: Final = 512

_OUTGROWN: Final = ("user_id", "expiration")


class DeadLetters:
    """Turns deliveries into dead letters."""

    def __init__(self, *, worker_name: str, clock: Callable[[], datetime]) -> None:
        self._worker_name = worker_name
        self._clock = clock

    def properties(self, delivery: AmqpDelivery, *, reason: str, detail: str) -> Basic.Properties:
        """Return the message's own properties, as far as they can be read, with the reason beside them.

        `user_id` and `expiration` become headers: the broker would refuse the one, and lose the letter by the
        other. Always persistent, and never with a user's own dead-letter history mistaken for ours.
        """
        letter: Basic.Properties = Basic.Properties() if delivery.undecodable else copy.copy(delivery.properties)
        headers: dict[str, Any] = {
            name: value
            for name, value in (letter.headers or {}).items()
            if name not in ("CC", "BCC") and not name.startswith("x-streams-")
        }
        headers |= {
            "x-streams-reason": reason,
            "x-streams-detail": detail[:DETAIL_CHARS_MAX],
            "x-streams-failed-at": self._clock().isoformat(timespec="microseconds"),
            "x-streams-attempts": _attempts(delivery),
            "x-streams-exchange": delivery.exchange,
            "x-streams-routing-key": delivery.routing_key,
            "x-streams-worker": self._worker_name,
        }
        for name in _OUTGROWN:
            value = getattr(letter, name)
            if value is not None:
                headers["x-streams-" + name.replace("_", "-")] = value
                setattr(letter, name, None)
        letter.headers = headers
        letter.delivery_mode = 2
        letter.cluster_id = ""
        return letter


def _attempts(delivery: AmqpDelivery) -> int:
    """How often it was delivered, counting this time: quorum queues count what came back."""
    count = (delivery.properties.headers or {}).get("x-delivery-count")
    return count + 1 if isinstance(count, int) else 1
