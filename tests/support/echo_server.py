"""A server that says again what it hears, and a caller of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

WITHIN_S: Final = 60.0
SILENCE_S: Final = 0.1


@dataclass(slots=True, eq=False)
class EchoServer:
    """`heard` are the pieces it heard on each connection, and `ends` how connections ended: "end" or "reset"."""

    url: str = ""
    heard: list[list[bytes]] = field(default_factory=list)
    ends: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def serving(cls) -> AsyncIterator["EchoServer"]:
        echo = cls()
        server = await asyncio.start_server(echo._accept, "127.0.0.1", 0)
        echo.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield echo
        finally:
            server.close()
            for writer in echo.writers:
                writer.transport.abort()
            await asyncio.gather(*echo._tasks)

    def heard_on(self, number: int) -> bytes:
        return b"".join(self.heard[number])

    async def end(self) -> str:
        """Wait for a connection to end."""
        async with asyncio.timeout(WITHIN_S):
            return await self.ends.get()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: list[bytes] = []
        self.heard.append(pieces)
        self.writers.append(writer)
        self._tasks.append(asyncio.create_task(self._echo(reader, writer, pieces), name="echo"))

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[bytes]) -> None:
        try:
            while data := await reader.read(65536):
                pieces.append(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            self.ends.put_nowait("reset")
        else:
            self.ends.put_nowait("end")
        writer.close()


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody at the other end."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    @asynccontextmanager
    async def calling(cls, url: str) -> AsyncIterator["Caller"]:
        host, _, port = url.removeprefix("tcp://").rstrip("/").partition(":")
        async with asyncio.timeout(WITHIN_S):
            reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield cls(reader, writer)
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(WITHIN_S):
            await self.writer.drain()

    async def hear(self, count: int) -> bytes:
        """Wait for so many bytes."""
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.readexactly(count)

    async def ask(self, data: bytes) -> bytes:
        """Say something and hear it again."""
        await self.say(data)
        return await self.hear(len(data))

    async def hear_all(self) -> bytes:
        """Wait for the end. Raises ConnectionResetError where it is none."""
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.read()

    async def hears_nothing(self) -> bool:
        """Listen for a moment."""
        try:
            async with asyncio.timeout(SILENCE_S):
                await self.reader.readexactly(1)
        except TimeoutError:
            return True
        return False
