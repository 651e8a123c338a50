"""Deliveries as the broker would hand them over, without a broker."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, cast

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from worker.amqp.codec.admission import Admission
from worker.amqp.codec.age import AgeLimit
from worker.amqp.codec.authority import Authority
from worker.amqp.codec.decode import Decoder
from worker.amqp.codec.rates import SenderRates
from worker.amqp.codec.reply_address import ReplyAddresses
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import Undecodable
from worker.service.messages import Incoming

ASKER = "amq.gen-asker"
NOW = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
RETENTION_S = 604_800.0


def admission(
    *, per_device: bool = False, operators: Collection[str] = (), rates: SenderRates | None = None
) -> Admission:
    """An admission at a time that stands still; it lets everybody in but for what is given."""
    return Admission(
        authority=Authority(per_device=per_device, operators=operators),
        rates=rates,
        age=AgeLimit(retention_s=RETENTION_S, clock=lambda: NOW),
    )


def decoder(*, namespace: str = "streams", also: str | None = None, **admitting: Any) -> Decoder:
    """A decoder; `admitting` is what its admission is given."""
    return Decoder(addresses=ReplyAddresses(namespace=namespace, also=also), admission=admission(**admitting))


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


def delivered(**given: Any) -> DeliveredMessage:
    """What aiormq hands to a consumer's callback; `given` as with `delivery`."""
    made = delivery(**given)
    return DeliveredMessage(
        delivery=Basic.Deliver(
            delivery_tag=made.tag,
            redelivered=made.redelivered,
            exchange=made.exchange,
            routing_key=made.routing_key,
        ),
        header=ContentHeader(properties=made.properties),
        body=made.body,
        channel=cast("Channel", None),
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
