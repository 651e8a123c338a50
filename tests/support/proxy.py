"""A TCP proxy in front of a broker or a database, to have lines fail in every way and servers unharmed."""

import asyncio
import itertools
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from typing_extensions import override

from tests.faults.wire_log import Seen
from tests.support.amqp_tap import Tap
from tests.support.line_faults import Board, Whom
from tests.support.proxy_line import Line, reset
from tests.support.proxy_lines import Lines
from tests.support.proxy_way import Deaf
from tests.support.said import Said, wire_log_of

_CONNECT_WITHIN_S: Final = 30.0
_SAID_MAX: Final = 2_000_000


class Proxy(Lines, AbstractAsyncContextManager["Proxy"]):
    """All the connections to a server. `url` is the server's, through the proxy.

    `is_tapped`: it reads AMQP along. Then it knows connections by their names and what is said on them, and a
    method goes on when it is there with all of its content.
    """

    def __init__(self, url: str, *, is_tapped: bool = False) -> None:
        self._board = Board()
        self._lines: dict[int, Line] = {}
        super().__init__(self._board, self._lines, Whom(), is_tapped=is_tapped)
        self._server = urlsplit(url)
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._said: list[Said] = []

    @property
    def said(self) -> list[Said]:
        """What the clients said and were told, in order: theirs when it came from them, whatever became of it, and
        the server's when it went to them. Empty it where much is said; raises AssertionError where that was due.
        """
        assert len(self._said) < _SAID_MAX, "more was said than is kept"
        return self._said

    def wire_log(self) -> list[Seen]:
        """Return what the checks look at. Raises as `said`."""
        return wire_log_of(self.said)

    @override
    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._listener.sockets[0].getsockname()[1]
        user, at, _ = self._server.netloc.rpartition("@")
        self.url = self._server._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [end for end in ends if isinstance(end, Exception)]
        if broken and error is None:
            raise broken[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        if self._board.refuses(number, ""):
            reset(writer)
            return
        task = asyncio.create_task(self._serve(number, reader, writer), name="proxy.line")
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:  # who failed is kept, to be raised at the end
            self._tasks.discard(task)

    async def _serve(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                far = await asyncio.open_connection(self._server.hostname, self._server.port)
        except OSError:  # a TimeoutError too: the server cannot be reached, and so the client cannot
            reset(writer)
            return
        except BaseException:
            writer.transport.abort()
            raise
        line = Line(
            number=number,
            ends=((reader, writer), far),
            reading=Tap(number) if self._is_tapped else Deaf(),
            board=self._board,
            note=self._note,
        )
        self._lines[number] = line
        try:
            await line.run()
        finally:
            del self._lines[number]

    def _note(self, said: Iterable[Said]) -> None:
        if len(self._said) < _SAID_MAX:
            self._said += said
