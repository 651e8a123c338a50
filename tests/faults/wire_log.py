"""What went over the wire, as somebody who stands between a worker and its broker saw it."""

from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """Who said it: the worker says it to the broker, or the broker to the worker."""

    TO_BROKER = "to_broker"
    TO_WORKER = "to_worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One method frame that matters: Basic.Publish, .Deliver, .Ack, .Nack or .Reject, in the order of the wire.

    `connection` names the connection and the channel on it, for that is how far a delivery tag counts. The tag of
    a publish is its number on its channel since Confirm.Select, from 1: what the broker's Basic.Ack will speak of.
    `message_id` and `correlation_id` are known of what has a content header, which is Basic.Publish and
    Basic.Deliver; `delivery_count` of the latter: how often the queue had delivered the message before.
    """

    at_s: float
    connection: str
    direction: Direction
    method: str
    delivery_tag: int
    multiple: bool = False
    message_id: str | None = None
    correlation_id: str | None = None
    delivery_count: int = 0
