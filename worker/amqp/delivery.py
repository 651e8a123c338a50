"""One message as the broker handed it over."""

from dataclasses import dataclass

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from worker.amqp.guard import Undecodable


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
    def undecodable(self) -> str | None:
        """Why the properties could not be decoded, or None where they could."""
        return self.properties.reason if isinstance(self.properties, Undecodable) else None
