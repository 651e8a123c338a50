"""A connection of aio_pika that can be cut, and reads in our own way."""

import asyncio
from contextlib import suppress
from typing import Any

import aio_pika
from aiormq.abc import AbstractConnection
from aiormq.connection import SSLContextProvider, TransportFactory
from aiormq.exceptions import AMQPConnectionError
from typing_extensions import override
from yarl import URL

from worker.amqp.frame_reader import FrameReader


class _Socket(TransportFactory):
    """Opens the socket as aiormq would, reads it in our own way, and keeps hold of it."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._reader: FrameReader | None = None

    @override
    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tls: SSLContextProvider = kwargs.pop("ssl_context_provider")
        context = await tls.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        self._reader = reader = FrameReader()
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            self._transport, _ = await loop.create_connection(
                lambda: protocol, ssl=context, **{"host": url.host, "port": url.port, **kwargs}
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        return reader, asyncio.StreamWriter(self._transport, protocol, reader, loop)

    def go_past(self, connection: AbstractConnection) -> None:
        """Let consumers of this connection that want it, and who waits for confirms, hear without aiormq."""
        if self._reader is not None:
            self._reader.shortcut.channels = connection.channels

    def cut(self) -> None:
        if self._transport is not None:
            with suppress(AttributeError):  # Python 3.11.2's, of one with TLS that is gone already
                self._transport.abort()


class CuttableConnection(aio_pika.Connection):
    """aio_pika's plain connection. Closing one whose peer takes nothing any more waits for three heartbeats, and
    cannot be cancelled; cutting it does not wait.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._socket = _Socket()
        self.kwargs["transport_factory"] = self._socket

    @override
    async def connect(self, timeout: float | None = None) -> None:
        """Connect. When the time is up, or the caller is cancelled, that is the end of it: aio_pika forgets a
        connection that is there but was not ready in time, and one with TLS would say goodbye for as long as a
        peer that is frozen does not answer.
        """
        connecting = asyncio.create_task(super().connect(), name="link.connect")
        try:
            await asyncio.wait({connecting}, timeout=timeout)
            if not connecting.done():
                raise TimeoutError  # noqa: TRY301 - it ends as every other failure does
            connecting.result()
            if self.transport is not None:
                self._socket.go_past(self.transport.connection)
        except BaseException:
            self.cut()
            connecting.cancel()
            await asyncio.wait({connecting})
            raise

    @override
    def __del__(self) -> None:
        """Whoever opens it closes it; aio_pika would start a task from within the garbage collector."""

    def cut(self) -> None:
        """End the connection at once, without a word to the broker. May be called again."""
        self._socket.cut()
