"""Publishing messages that have no `message_id`, and hearing of those that come back.

A mandatory message without an id gets one of our making, because aiormq knows a returned one by nothing else. A
command that had none would be another command then: it would be remembered, and its answer would bear the id.
"""

from typing import Final, Self

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.connection import Connection
from pamqp.commands import Basic
from pamqp.header import ContentHeader
from typing_extensions import override

NAMELESS: Final = "(no message id)"
"""What such a message is known by on our side of the wire."""


class Nameless(Basic.Properties):
    """Properties whose `message_id` is for aiormq, and is not written."""

    @classmethod
    def of(cls, properties: Basic.Properties) -> Self:
        """Return the same properties, nameless."""
        nameless = cls()
        for name, value in properties:
            setattr(nameless, name, value)
        nameless.message_id = NAMELESS
        return nameless

    @override
    def marshal(self) -> bytes:
        written = Basic.Properties()
        for name, value in self:
            setattr(written, name, value)
        written.message_id = None
        return written.marshal()


class NamelessChannel(Channel):
    """A channel in confirm mode on which a nameless message that is returned raises at its publisher, as any other
    does. There must not be two of the same `message_id`, or two without, on the way at once: aiormq takes the
    return of one for that of the other, and the first for confirmed.
    """

    @classmethod
    async def opened(cls, connection: Connection) -> Self:
        """Open one. Nobody else may open a channel on this connection meanwhile."""
        number = max(connection.channels, default=0) + 1
        channel = cls(connection, number, publisher_confirms=True, on_return_raises=True)
        connection.channels[number] = channel
        await channel.open()
        return channel

    @override
    async def _read_content(
        self, frame: Basic.Deliver | Basic.Return | Basic.GetEmpty | Basic.GetOk, header: ContentHeader
    ) -> DeliveredMessage:
        if isinstance(frame, Basic.Return) and not header.properties.message_id:
            header.properties.message_id = NAMELESS
        return await super()._read_content(frame, header)
