"""One connection with one channel, from its opening until it is lost. It never comes back: open another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import aio_pika
import aiormq.abc
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import InvalidFrameError
from yarl import URL

from stream_client.broker_call import LinkLost, broker_call
from stream_client.connection import PlainConnection
from stream_client.errors import StreamMisconfigured, StreamUnavailable

HEARTBEAT_S: Final = 10
"""A broker that is gone without a word is noticed after about three of these."""

_CLOSE_S: Final = 2.5  # the library itself waits 2 s for the broker's goodbye
_CUT_S: Final = 1.0


class Link:
    """A live connection to the broker. `lost` is done once it is gone, and nothing on it works any more."""

    def __init__(self, connection: PlainConnection) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._channels: list[AbstractChannel] = []
        connection.close_callbacks.add(self._on_close)

    @classmethod
    async def open(cls, url: str, *, name: str, within_s: float) -> Self:
        """Connect; `name` is what an operator sees of it at the broker.

        Raises StreamUnavailable where the broker cannot be reached in time, StreamMisconfigured where it refuses.
        """
        address = URL(url)
        if "heartbeat" not in address.query:
            address = address.update_query(heartbeat=HEARTBEAT_S)
        try:
            async with broker_call(within_s):
                connection = await _connect(address, name, within_s)
        except LinkLost as error:
            raise StreamUnavailable(f"the broker at {place_of(url)} cannot be reached: {error}") from error
        except StreamMisconfigured as error:
            raise StreamMisconfigured(f"the broker at {place_of(url)}: {error}") from error
        return cls(connection)

    @classmethod
    @asynccontextmanager
    async def opening(
        cls, url: str, *, name: str, within_s: float, ready_s: float | None = None
    ) -> AsyncIterator[Self]:
        """Open a link and make it ready inside the block, which has the same time again, or `ready_s`. It stays
        open after the block, and is closed where the block fails.

        Raises StreamUnavailable where the broker cannot be reached in time, StreamMisconfigured where it refuses.
        """
        link = await cls.open(url, name=name, within_s=within_s)
        try:
            async with broker_call(within_s if ready_s is None else ready_s):
                yield link
        except LinkLost as error:
            await link.close(goodbye_s=0.0)  # others may wait for who opens, and that broker has said nothing
            raise StreamUnavailable(f"the connection was lost while it was opened: {error}") from error
        except asyncio.CancelledError:  # the time of whoever asked is over
            await link.close(goodbye_s=0.0)
            raise
        except BaseException:
            await link.close()
            raise

    async def channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Open a channel. On one with confirms, a message that cannot be routed raises PublishError.

        Call it, and `watch`, in a `broker_call`.
        """
        channel = self._connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        await channel.initialize()
        self._channels.append(channel)  # the library forgets a channel that nobody holds
        return channel

    async def watch(self, channel: AbstractChannel) -> aiormq.abc.AbstractChannel:
        """Regard the link as lost once this channel closes, or its consumer ends. Returns the channel under it."""
        channel.close_callbacks.add(self._on_close)
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(self._on_cancel)
        return underlay

    async def is_blocked(self) -> bool:
        """Whether the broker has said that it takes nothing for now: it is short of memory or disk."""
        transport = self._connection.transport
        try:
            async with asyncio.timeout(0):  # which what need not wait is done before
                if transport is not None:
                    await transport.connection.ready()
        except TimeoutError:
            return True
        return False

    async def close(self, *, goodbye_s: float = _CLOSE_S) -> None:
        """Close it, in a second more than the goodbye may take. Idempotent, never raises for what the broker
        does.
        """
        self.give_up()
        closing = asyncio.create_task(_goodbye(self._connection), name="stream_client.close")
        try:
            await asyncio.wait({closing}, timeout=goodbye_s)
        finally:
            self._connection.cut()  # where it is closed already, that is nothing
        await asyncio.wait({closing}, timeout=_CUT_S)

    def give_up(self) -> None:
        """Regard it as lost, whatever the library thinks of it."""
        if not self.lost.done():
            self.lost.set_result(None)

    def _on_close(self, _sender: object, _error: BaseException | None) -> None:
        self.give_up()

    def _on_cancel(self, _frame: aiormq.spec.Basic.Cancel) -> None:
        """The broker ended our consumer (its queue was deleted, or moved): the channel lives, and is deaf."""
        self.give_up()


def place_of(url: str) -> str:
    """Return a broker's host and port, and nothing else of its address: it may hold a password."""
    address = URL(url)
    return f"{address.host}:{address.port or 'default'}"


async def _goodbye(connection: PlainConnection) -> None:
    try:
        async with broker_call(_CLOSE_S):
            await connection.close()
    except (LinkLost, StreamMisconfigured):
        pass  # it is gone already, which is what was wanted


async def _connect(address: URL, name: str, within_s: float) -> PlainConnection:
    try:
        return await aio_pika.connect(
            address,
            timeout=within_s,
            client_properties={"connection_name": name},
            connection_class=PlainConnection,
        )
    except InvalidFrameError as refused:  # a Connection.Close in the place of an answer, whose text aiormq drops
        raise StreamMisconfigured(
            "it closed the connection before it was open; "
            "is there such a virtual host, and may this user enter it?"
        ) from refused
