"""What both echoes say: as many replies and events as the worker, of the same size, about nothing."""

from asyncio import Queue
from typing import cast

from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from benchmarks.peers.place import Place

BATCH_MAX = 256  # as the worker's

Saying = tuple[str, str, Basic.Properties, bytes]
"""Exchange, routing key, properties and body."""


class Echo:
    """Knows which devices have an active stream, and nothing else: so it has as many events as the worker."""

    def __init__(self, here: Place) -> None:
        self._here = here
        self._reply = b"r" * here.reply_bytes
        self._event = b"e" * here.event_bytes
        self._active: set[str] = set()
        self._said = 0

    def of(self, command: DeliveredMessage) -> list[Saying]:
        """Return what is said to one command: the event first, where there is one, then the reply."""
        properties = command.header.properties
        device_id = cast("Basic.Deliver", command.delivery).routing_key or ""
        says = []
        kind = self._happens(properties.message_type or "", device_id)
        if kind is not None:
            key = f"{kind}.{device_id}"
            says.append(
                (self._here.events, key, self._properties("application/cloudevents+json", kind), self._event)
            )
        answer = self._properties("application/json", "stream.reply", properties.correlation_id)
        return [*says, ("", properties.reply_to or "", answer, self._reply)]

    def _happens(self, kind: str, device_id: str) -> str | None:
        is_active = device_id in self._active
        if kind == "stream.create" and not is_active:
            self._active.add(device_id)
            return "stream.created"
        if kind == "stream.stop" and is_active:
            self._active.discard(device_id)
            return "stream.stopped"
        return None

    def _properties(self, content_type: str, kind: str, correlation_id: str | None = None) -> Basic.Properties:
        self._said += 1
        return Basic.Properties(
            content_type=content_type,
            delivery_mode=2,
            correlation_id=correlation_id,
            message_id=f"{self._said:036}",
            message_type=kind,
            app_id="echo",
        )


async def taken(arrived: "Queue[DeliveredMessage]") -> list[DeliveredMessage]:
    """Wait for one, and take what else is there, as the worker gathers its batches."""
    batch = [await arrived.get()]
    while len(batch) < BATCH_MAX and not arrived.empty():
        batch.append(arrived.get_nowait())
    return batch
