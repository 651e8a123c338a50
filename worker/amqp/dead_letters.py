"""Dead letters: every message that could not become a reply, with the reason in its headers."""

import copy
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from pamqp import encode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.amqp.delivery import DELIVERY_COUNT, AmqpDelivery
from worker.amqp.guard import HEADER_BYTES_MAX

DETAIL_CHARS_MAX: Final = 512
NAME_BYTES_MAX: Final = 128  # of a header (AMQP 0-9-1, section 4.2.5.5); pamqp would cut it, and log it

_OUTGROWN: Final = ("user_id", "expiration")
# What is ours, and what says that the broker made the letter: of one that says so, ours is not believed.
_NOT_A_SENDERS: Final = ("x-streams-", "x-death", "x-first-death-", "x-last-death-")


class DeadLetters:
    """Turns deliveries into dead letters."""

    def __init__(self, *, worker_name: str, clock: Callable[[], datetime]) -> None:
        self._worker_name = worker_name
        self._clock = clock

    def properties(self, delivery: AmqpDelivery, *, reason: str, detail: str) -> Basic.Properties:
        """Return the message's own properties, as far as they can be read and written again, with the reason
        beside them.

        `user_id` and `expiration` become headers: the broker would refuse the one, and lose the letter by the
        other. Always persistent. What would route it elsewhere (CC, BCC) and what pretends to be ours is left
        out, and so is the queue's count of deliveries.
        """
        letter: Basic.Properties = Basic.Properties() if delivery.undecodable else copy.copy(delivery.properties)
        headers: dict[str, Any] = {
            "x-streams-reason": reason,
            "x-streams-detail": detail[:DETAIL_CHARS_MAX],
            "x-streams-failed-at": self._clock().isoformat(timespec="microseconds"),
            "x-streams-attempts": delivery.delivery_count + 1,
            "x-streams-exchange": delivery.exchange,
            "x-streams-routing-key": delivery.routing_key,
            "x-streams-worker": self._worker_name,
        }
        if not letter.message_id and not delivery.undecodable:
            headers["x-streams-nameless"] = True
        # One of our making, where there is none, by which a letter that comes back is known. Given here, where it
        # counts: with it too the letter must stay within what our own guard reads.
        letter.message_id = letter.message_id or uuid4().hex
        for name in _OUTGROWN:
            value = getattr(letter, name)
            if value is not None:
                headers["x-streams-" + name.replace("_", "-")] = value
                setattr(letter, name, None)
        strangers, letter.headers = letter.headers, headers
        letter.delivery_mode = 2
        letter.cluster_id = ""
        if strangers:
            left_bytes = HEADER_BYTES_MAX - len(ContentHeader(0, 0, letter).marshal())
            letter.headers = headers | _kept(strangers, left_bytes)
        return letter


def _kept(headers: Mapping[str, Any], left_bytes: int) -> dict[str, Any]:
    """Return the stranger's headers that go with the letter.

    With them it stays within what our own guard reads: a letter that comes back unroutable is recognised by its
    properties.
    """
    kept: dict[str, Any] = {}
    for name, value in headers.items():
        if name in ("CC", "BCC", DELIVERY_COUNT) or name.startswith(_NOT_A_SENDERS):
            continue
        writable = bytearray(value) if isinstance(value, bytes) else value  # a string that was not UTF-8
        size_bytes = _written_bytes(name, writable)
        if size_bytes <= left_bytes:
            kept[name] = writable
            left_bytes -= size_bytes
    return kept


def _written_bytes(name: str, value: Any) -> int:
    """Return how much a header takes, or more than there is where it cannot be written: pamqp reads some values
    that it cannot write, and reads deeper than it writes.
    """
    header = {name: value}
    if any(len(name.encode()) > NAME_BYTES_MAX for name in _names(header)):
        return HEADER_BYTES_MAX
    try:
        return len(encode.field_table(header))
    except Exception:  # noqa: BLE001 - the delivery's boundary: whatever a stranger's value provokes
        return HEADER_BYTES_MAX


def _names(table: Mapping[str, Any]) -> Iterator[str]:
    """Every name in a table and in what is in it, without recursion: it may be deep."""
    rest: list[Any] = [table]
    while rest:
        match rest.pop():
            case dict(fields):
                yield from fields
                rest.extend(fields.values())
            case list(items):
                rest.extend(items)
            case _:
                pass
