"""A line to PostgreSQL that breaks at the very moment the server says that it has committed."""

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from typing_extensions import override

_CHUNK_BYTES: Final = 65_536


class LostAnswer(AbstractAsyncContextManager["LostAnswer"]):
    """Passes everything on, but from `arm` on no answer to a COMMIT, or to a statement whose command tag is `to`:
    instead the connection ends, once.

    `url` is the server's, through it. `lost` counts.
    """

    def __init__(self, url: str, *, to: str = "COMMIT") -> None:
        tag = to.encode() + b"\x00"
        self._completed = b"C" + (4 + len(tag)).to_bytes(4, "big") + tag  # the message CommandComplete
        self._server = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_armed = False
        self.lost = 0

    def arm(self) -> None:
        self._is_armed = True

    @override
    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        user = self._server.netloc.rpartition("@")[0]
        self.url = self._server._replace(netloc=f"{user}@127.0.0.1:{port}").geturl()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="lost_answer.line")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._server.hostname, self._server.port)
        ways = [
            asyncio.create_task(self._pass_on(*way), name="lost_answer.way")
            for way in ((reader, far_writer), (far_reader, writer))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in (writer, far_writer):
                end.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK_BYTES):
            if self._is_armed and self._completed in data:
                self._is_armed = False
                self.lost += 1
                return
            sink.write(data)
            await sink.drain()
