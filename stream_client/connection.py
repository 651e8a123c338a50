"""aio_pika's connection, without what it does in the garbage collector, and one that can be cut."""

import asyncio
from contextlib import suppress
from typing import Any, cast

import aio_pika
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from typing_extensions import override
from yarl import URL

from stream_client.guard import GuardedReader


class _Socket(TransportFactory):
    """Opens the socket as aiormq would, guards what is read of it, and keeps hold of it."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None

    @override
    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        factory = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        reader, writer = await factory.create(url, **kwargs)
        self._transport = writer.transport
        return cast("asyncio.StreamReader", GuardedReader(reader)), writer

    def cut(self) -> None:
        if self._transport is not None:
            with suppress(AttributeError):  # Python 3.11.2's, of one with TLS that is gone already
                self._transport.abort()


class PlainConnection(aio_pika.Connection):
    """A connection that whoever opens it closes. aio_pika would start a task from within the garbage collector,
    for one that never came to be too: a warning at best, and at any moment.

    Closing one whose peer takes nothing any more can wait for minutes, and cannot be cancelled; cutting it does
    not wait.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._socket = _Socket()
        self.kwargs["transport_factory"] = self._socket

    @override
    async def connect(self, timeout: float | None = None) -> None:
        """Connect. When the time is up, or the caller is cancelled, that is the end of it: the library itself
        would say goodbye in TLS, for as long as a peer that is frozen does not answer.
        """
        connecting = asyncio.create_task(super().connect(), name="stream_client.connect")
        try:
            await asyncio.wait({connecting}, timeout=timeout)
            if not connecting.done():
                raise TimeoutError  # noqa: TRY301 - it ends as every other failure does
            connecting.result()
        except BaseException:
            self.cut()
            connecting.cancel()
            await asyncio.wait({connecting})
            raise

    @override
    def __del__(self) -> None:
        """Do nothing."""

    def cut(self) -> None:
        """End the connection at once, without a word to the broker. May be called again."""
        self._socket.cut()
