"""A TCP proxy in front of a server, to take the line away or to silence it without harming the server."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK_BYTES = 65_536


class Proxy(AbstractAsyncContextManager["Proxy"]):
    """Passes bytes on in both directions. `url` is the server's, through the proxy.

    `freeze_at`: these bytes are the last that it passes on.
    """

    def __init__(self, url: str, *, freeze_at: bytes | None = None) -> None:
        self._freeze_at = freeze_at
        self._server = urlsplit(url)
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.passed_bytes = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        user, _, _ = self._server.netloc.rpartition("@")
        self.url = self._server._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Pass nothing on any more; connections stay open."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on again, also what came meanwhile."""
        self._flows.set()

    def cut(self, *, which: int | None = None) -> None:
        """Reset all connections, or the one that was accepted as number `which`, from 0."""
        pair = slice(None) if which is None else slice(2 * which, 2 * which + 2)
        for writer in self._writers[pair]:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._writers += [writer, far_writer]
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink), name="proxy.pass_on")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                if self._freeze_at is not None and self._freeze_at in data:
                    self.freeze()
                await self._flows.wait()
                sink.write(data)
                self.passed_bytes += len(data)
                await sink.drain()
        sink.close()
