"""From what the service has to say to what goes over the wire."""

from dataclasses import dataclass
from typing import Final, cast

from pamqp.commands import Basic

from worker.amqp.dead_letters import DeadLetters
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.topology import Topology
from worker.service.messages import DeadLetter, Outgoing, Reply, StoredEvent

APP_ID: Final = "stream-worker"
EVENT_MEDIA_TYPE: Final = "application/cloudevents+json"
PERSISTENT: Final = 2
ROUTING_KEY_BYTES_MAX: Final = 255

_DIRECT_REPLY_PREFIX: Final = "amq.rabbitmq.reply-to"


@dataclass(frozen=True, slots=True, kw_only=True)
class WireMessage:
    """One message, ready to be published. Only dead letters are mandatory: events need no subscriber, and a
    direct reply that is mandatory comes back although it arrived (RabbitMQ 3.10). `may_wait`: it is recorded, and
    can be said another time.
    """

    exchange: str
    routing_key: str
    properties: Basic.Properties
    body: bytes
    mandatory: bool = False
    may_wait: bool = False

    @property
    def is_direct_reply(self) -> bool:
        """Whether it goes to a direct reply-to address, which can end the connection it is published on."""
        return not self.exchange and self.routing_key.startswith(_DIRECT_REPLY_PREFIX)


class WireFormat:
    """Gives each outgoing message its exchange, routing key and properties, as the contract has them."""

    def __init__(self, topology: Topology, dead_letters: DeadLetters) -> None:
        self._topology = topology
        self._dead_letters = dead_letters

    def of(self, message: Outgoing) -> WireMessage:
        """Return the message as it goes out. Pure but for the clock in a dead letter."""
        match message:
            case StoredEvent():
                return self._event(message)
            case Reply():
                return self._reply(message)
            case DeadLetter():
                return self._dead_letter(message)

    def _event(self, event: StoredEvent) -> WireMessage:
        return WireMessage(
            exchange=self._topology.events,
            routing_key=f"{event.type}.{event.device_id}",
            properties=Basic.Properties(
                content_type=EVENT_MEDIA_TYPE,
                delivery_mode=PERSISTENT,
                message_id=str(event.id),
                timestamp=event.at.replace(microsecond=0),
                message_type=event.type,
                app_id=APP_ID,
            ),
            body=event.body,
            may_wait=True,
        )

    def _reply(self, reply: Reply) -> WireMessage:
        return WireMessage(
            exchange="",  # the default exchange only: a sender never chooses one
            routing_key=reply.to.address,
            properties=Basic.Properties(
                content_type=reply.answer.content_type,
                delivery_mode=PERSISTENT,
                correlation_id=reply.to.correlation_id,
                message_id=reply.message_id,
                message_type=reply.answer.type,
                app_id=APP_ID,
            ),
            body=reply.answer.body,
        )

    def _dead_letter(self, letter: DeadLetter) -> WireMessage:
        delivery = cast("AmqpDelivery", letter.delivery)
        return WireMessage(
            exchange=self._topology.dead,
            # One that was not UTF-8 has grown by being read; the whole of it stands in a header.
            routing_key=delivery.routing_key.encode()[:ROUTING_KEY_BYTES_MAX].decode(errors="ignore"),
            properties=self._dead_letters.properties(delivery, reason=letter.reason, detail=letter.detail),
            body=delivery.body,
            mandatory=True,
        )

    def canary(self) -> WireMessage:
        """A message to nobody: its confirm shows that the way out works."""
        return WireMessage(
            exchange="", routing_key=self._topology.canary, properties=Basic.Properties(delivery_mode=1), body=b""
        )
