"""A dead letter as it is found, read with care: what stands in it was in part written by a stranger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.topology import Topology

UNDECODABLE: Final = "undecodable"
UNKNOWN: Final = "unknown"
"""The reason of what came into the dead queue by another way than the worker and the broker take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter. `number` counts from the oldest, 1; `detail` and every name in it may be a stranger's.

    `sender`: the user that sent it, or None: the broker's word, or that of the worker that heard it from the
    broker. `nameless`: it had no `message_id`, whatever the letter has. `readable`: whether it is known what the
    message was, beyond its body.
    """

    number: int
    delivery: AmqpDelivery
    reason: str
    detail: str
    died_at: datetime | None
    routing_key: str
    sender: str | None
    nameless: bool
    readable: bool

    @property
    def type(self) -> str | None:
        """The command's name."""
        return self.delivery.properties.message_type or None

    @property
    def message_id(self) -> str | None:
        """What it is known by to its sender."""
        return None if self.nameless else self.delivery.properties.message_id

    def age_s(self, now: datetime) -> float | None:
        """How long it has been dead."""
        return None if self.died_at is None else (now - self.died_at).total_seconds()


def read_letter(delivery: AmqpDelivery, *, number: int, names: Topology) -> Letter:
    """Return what is known of a dead letter. Pure, and never raises for what stands in it.

    Our headers are believed in a letter that the worker made. In one that the broker made they are the sender's,
    who may have written there whatever they liked, another's name first of all; and what did not come by the
    dead exchange was made by neither.
    """
    headers = delivery.properties.headers or {}
    if delivery.undecodable:
        return _letter(delivery, number, reason=UNDECODABLE, detail=delivery.undecodable, readable=False)
    if delivery.exchange != names.dead:
        return _letter(delivery, number, reason=UNKNOWN, detail="It was not sent to the dead exchange.")
    if "x-death" in headers:
        return _by_broker(delivery, number, _death(headers["x-death"], names.sources))
    if "x-streams-reason" in headers:
        return _by_worker(delivery, number, headers)
    return _letter(delivery, number, reason=UNKNOWN, detail="Neither the worker nor the broker made it.")


def _letter(  # noqa: PLR0913 - the members in which letters differ
    delivery: AmqpDelivery,
    number: int,
    *,
    reason: str,
    detail: str,
    died_at: datetime | None = None,
    routing_key: str | None = None,
    sender: str | None = None,
    nameless: bool = False,
    readable: bool = True,
) -> Letter:
    return Letter(
        number=number,
        delivery=delivery,
        reason=reason,
        detail=detail,
        died_at=died_at,
        routing_key=delivery.routing_key if routing_key is None else routing_key,
        sender=sender or delivery.properties.user_id or None,
        nameless=nameless or not delivery.properties.message_id,
        readable=readable,
    )


def _by_worker(delivery: AmqpDelivery, number: int, headers: Mapping[str, Any]) -> Letter:
    reason = _text(headers["x-streams-reason"]) or UNKNOWN
    return _letter(
        delivery,
        number,
        reason=reason,
        detail=_text(headers.get("x-streams-detail")) or "",
        died_at=_moment(headers.get("x-streams-failed-at")),
        routing_key=_text(headers.get("x-streams-routing-key")),
        sender=_text(headers.get("x-streams-user-id")),
        nameless=headers.get("x-streams-nameless") is True,
        readable=reason != UNDECODABLE,
    )


def _by_broker(delivery: AmqpDelivery, number: int, death: Mapping[str, Any]) -> Letter:
    keys = death.get("routing-keys")
    return _letter(
        delivery,
        number,
        reason=_text(death.get("reason")) or UNKNOWN,
        detail=f"The broker gave it up in {_text(death.get('queue')) or 'a queue'}.",
        died_at=_moment(death.get("time")),
        routing_key=_text(keys[0]) if isinstance(keys, list) and keys else None,
    )


def _death(deaths: object, queues: Sequence[str]) -> Mapping[str, Any]:
    """Return the latest death in a queue of ours, else the latest of all: they stand newest first."""
    tables = [death for death in deaths if isinstance(death, Mapping)] if isinstance(deaths, list) else []
    ours = [death for death in tables if death.get("queue") in queues]
    return next(iter(ours or tables), {})


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):  # how pamqp reads a string that is not UTF-8
        return value.decode(errors="replace")
    return value if isinstance(value, str) else None


def _moment(value: object) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(_text(value) or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # a stranger's text, or a moment before the first or after the last year
        return None
