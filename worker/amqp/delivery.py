"""One message as the broker handed it over."""

from dataclasses import dataclass
from typing import Final

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from worker.amqp.guard import Undecodable

DELIVERY_COUNT: Final = "x-delivery-count"
_COUNT_MAX: Final = 2**31  # no queue delivers so often; what is above was never a queue's


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpDelivery:
    """A delivery of the consuming channel: what `worker.service.messages.Delivery` stands for here."""

    tag: int
    exchange: str
    routing_key: str
    redelivered: bool
    properties: Basic.Properties
    body: bytes

    @classmethod
    def of(cls, message: DeliveredMessage) -> "AmqpDelivery":
        """Take from aiormq's message what we use; the channel stays behind."""
        return cls(
            tag=message.delivery_tag or 0,
            exchange=message.exchange or "",
            routing_key=message.routing_key or "",
            redelivered=bool(message.redelivered),
            properties=message.header.properties,
            body=message.body,
        )

    @property
    def delivery_count(self) -> int:
        """How often it was delivered before: quorum queues count what came back, others say that it did.

        Only what came back: on a first delivery the header is the sender's, and whatever they like.
        """
        count = (self.properties.headers or {}).get(DELIVERY_COUNT)
        if self.redelivered and isinstance(count, int) and 0 < count < _COUNT_MAX:
            return count
        return int(self.redelivered)

    @property
    def undecodable(self) -> str | None:
        """Why the properties could not be decoded, or None where they could."""
        return self.properties.reason if isinstance(self.properties, Undecodable) else None
