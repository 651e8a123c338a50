"""A load balancer in front of a broker's cluster, as an operator puts one there."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit

from typing_extensions import override

from tests.support.proxy_line import reset

_GREETING_BYTES: Final = 8  # "AMQP" and a version, with which every client begins
_GREETING_WITHIN_S: Final = 5.0
_ANSWER_WITHIN_S: Final = 1.0
_CHUNK_BYTES: Final = 65_536

_Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Front(AbstractAsyncContextManager["Front"]):
    """Takes each new connection to a node that answers its greeting: a frozen one accepts and says nothing.

    The nodes are tried in their order, from `first` on, which may be changed; with None from another one each
    time. When a node ends a connection, or dies, the client's ends too. `url` is the nodes', through the front.
    """

    def __init__(self, urls: Sequence[str], *, first: int | None = None) -> None:
        self._nodes = [urlsplit(url) for url in urls]
        self.first = first
        self._turns = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: dict[asyncio.StreamWriter, int] = {}

    @property
    def connections(self) -> Counter[int]:
        """How many connections there are to each node."""
        return Counter(self._open.values())

    def cut(self) -> None:
        """Reset all connections, so that everybody comes again."""
        for writer in self._open:
            reset(writer)

    @override
    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        user, at, _ = self._nodes[0].netloc.rpartition("@")
        self.url = self._nodes[0]._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve((reader, writer)), name="front.connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, near: _Stream) -> None:
        reader, writer = near
        try:
            async with asyncio.timeout(_GREETING_WITHIN_S):
                greeting = await reader.readexactly(_GREETING_BYTES)
            await self._connect(near, greeting)
        except (OSError, EOFError):  # it says nothing, or there is no node for it
            reset(writer)
        except BaseException:
            writer.transport.abort()
            raise

    async def _connect(self, near: _Stream, greeting: bytes) -> None:
        for index in self._order():
            try:
                answer, far = await self._greet(index, greeting)
            except OSError:  # a TimeoutError too
                continue
            self._open[near[1]] = index
            try:
                near[1].write(answer)
                await _join(near, far)
            finally:
                del self._open[near[1]]
            return
        raise ConnectionResetError("no node answers")

    def _order(self) -> Iterator[int]:
        start = next(self._turns) if self.first is None else self.first
        return ((start + step) % len(self._nodes) for step in range(len(self._nodes)))

    async def _greet(self, index: int, greeting: bytes) -> tuple[bytes, _Stream]:
        """Connect to a node and return what it answers. Raises OSError where it answers nothing in time."""
        node = self._nodes[index]
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            far = await asyncio.open_connection(node.hostname, node.port)
            try:
                far[1].write(greeting)
                if answer := await far[0].read(_CHUNK_BYTES):
                    return answer, far
            except BaseException:
                far[1].transport.abort()
                raise
        far[1].transport.abort()
        raise ConnectionResetError("it hung up")


async def _join(near: _Stream, far: _Stream) -> None:
    """Pass on what comes, both ways, until one side has ended."""
    ways = [asyncio.create_task(_pass_on(a[0], b[1])) for a, b in ((near, far), (far, near))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        far[1].close()
        near[1].close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
