"""TCP connections that break in chosen ways: `Proxy` treats all of them alike, this one each for itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yarl import URL


class Cable:
    """TCP connections to the broker that can be cut, and that can go silent.

    `holds` is set once it keeps something back. A connection that would carry more than `carries_bytes_max` one
    way breaks; with 0 none is made.
    """

    def __init__(self, url: str) -> None:
        self._target = URL(url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: list[asyncio.Event] = []
        self.holds = asyncio.Event()
        self.carries_bytes_max: int | None = None

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        """Return the URL at which the broker is reached through this cable."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield str(self._target.with_port(port))
        finally:
            server.close()
            self.cut()
            await server.wait_closed()

    def cut(self) -> None:
        """End every connection; new ones are carried."""
        for writer in self._writers:
            writer.transport.abort()
        for carrying in self._carrying:
            carrying.set()

    def silence(self) -> None:
        """Carry nothing more for the connections that are there; new ones are carried."""
        for carrying in self._carrying:
            carrying.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.carries_bytes_max == 0:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(self._target.host, self._target.port)
        carrying = asyncio.Event()
        carrying.set()
        self._carrying.append(carrying)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer, carrying), self._carry(far_reader, writer, carrying))
        self._writers -= {writer, far_writer}

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, carrying: asyncio.Event
    ) -> None:
        carried_bytes = 0
        try:
            while data := await reader.read(65536):
                if not carrying.is_set():
                    self.holds.set()
                await carrying.wait()
                carried_bytes += len(data)
                if self.carries_bytes_max is not None and carried_bytes > self.carries_bytes_max:
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()
