"""Deliveries as the broker would hand them over, without a broker."""

import json
from typing import Any

from pamqp.commands import Basic

from worker.amqp.codec.decode import Decoder
from worker.amqp.codec.reply_address import ReplyAddresses
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import Undecodable
from worker.service.messages import Incoming

ASKER = "amq.gen-asker"


def decoder(*, also: str | None = None) -> Decoder:
    """A decoder of the default namespace."""
    return Decoder(addresses=ReplyAddresses(namespace="streams", also=also))


def delivery(
    body: bytes = b'{"device_id": "cam-1"}',
    *,
    tag: int = 1,
    exchange: str = "streams.commands",
    routing_key: str = "cam-1",
    redelivered: bool = False,
    **properties: Any,
) -> AmqpDelivery:
    """A delivery that is a good create command but for what is given."""
    properties = {"message_type": "stream.create", "reply_to": ASKER} | properties
    return AmqpDelivery(
        tag=tag,
        exchange=exchange,
        routing_key=routing_key,
        redelivered=redelivered,
        properties=Basic.Properties(**properties),
        body=body,
    )


def unreadable(reason: str = "RecursionError", *, redelivered: bool = False) -> AmqpDelivery:
    """A delivery whose properties could not be decoded."""
    return AmqpDelivery(
        tag=1,
        exchange="streams.commands",
        routing_key="cam-1",
        redelivered=redelivered,
        properties=Undecodable(reason),
        body=b"poison",
    )


def decode(body: bytes | dict[str, Any] = b'{"device_id": "cam-1"}', **properties: Any) -> Incoming:
    """Decode a delivery; a dictionary is written as JSON."""
    return decoder()(delivery(body if isinstance(body, bytes) else json.dumps(body).encode(), **properties))
