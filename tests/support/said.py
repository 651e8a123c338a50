"""What is said on an AMQP connection, as a proxy in its middle hears it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tests.faults import wire_log

Direction: TypeAlias = Literal["to_server", "to_client"]

CONFIRMS: Final = frozenset({"Basic.Ack", "Basic.Nack"})  # when the server says it
_CHECKED: Final = CONFIRMS | {"Basic.Publish", "Basic.Deliver", "Basic.Reject"}
_DIRECTIONS: Final = {"to_server": wire_log.Direction.TO_BROKER, "to_client": wire_log.Direction.TO_WORKER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One method, with what is of interest in its content.

    `at_s` is of the monotonic clock. `connection` is the name that the client gave it, "" before it did; `number`
    tells those apart that are called the same. A Basic.Publish has the `delivery_tag` by which the server will
    confirm it, or None outside of confirm mode. `delivery_count` is what a quorum queue says with a Basic.Deliver.
    """

    at_s: float
    number: int
    connection: str
    channel: int
    direction: Direction
    method: str
    delivery_tag: int | None
    multiple: bool
    message_id: str | None
    exchange: str | None
    routing_key: str | None
    correlation_id: str | None
    reply_to: str | None
    delivery_count: int

    @property
    def is_publish(self) -> bool:
        """Whether the client publishes."""
        return self.direction == "to_server" and self.method == "Basic.Publish"

    @property
    def is_confirm(self) -> bool:
        """Whether the server confirms or refuses what the client published."""
        return self.direction == "to_client" and self.method in CONFIRMS

    @property
    def is_ack(self) -> bool:
        """Whether the client acknowledges a delivery."""
        return self.direction == "to_server" and self.method == "Basic.Ack"


def wire_log_of(said: Iterable[Said]) -> list[wire_log.Seen]:
    """Return what the checks look at: everything that has a delivery tag, in order."""
    return [
        wire_log.Seen(
            at_s=one.at_s,
            connection=f"{one.number} {one.connection}, channel {one.channel}",
            direction=_DIRECTIONS[one.direction],
            method=one.method,
            delivery_tag=one.delivery_tag,
            multiple=one.multiple,
            message_id=one.message_id,
            correlation_id=one.correlation_id,
            delivery_count=one.delivery_count,
        )
        for one in said
        if one.method in _CHECKED and one.delivery_tag is not None
    ]
