"""One connection through a proxy."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TypeAlias

from tests.support.line_faults import Board, Side, directions_of
from tests.support.proxy_way import Note, Reading, Way

Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line:
    """One connection to the proxy and the one that the proxy made for it."""

    def __init__(
        self, *, number: int, ends: tuple[Stream, Stream], reading: Reading, board: Board, note: Note
    ) -> None:
        self.number, self.reading, self.board, self.note = number, reading, board, note
        (near_reader, near_writer), (far_reader, far_writer) = ends
        self.ways = (
            Way(self, "to_server", near_reader, far_writer),
            Way(self, "to_client", far_reader, near_writer),
        )

    async def run(self) -> None:
        """Pass on both ways until both have ended, and close."""
        tasks = [
            asyncio.create_task(step, name=f"proxy.{way.direction}")
            for way in self.ways
            for step in (way.receive(), way.deliver())
        ]
        try:
            await asyncio.gather(*tasks)
        finally:
            for way in self.ways:  # first of all: who is cancelled here again must not leave them open
                way.sink.transport.abort()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self, side: Side) -> None:
        """Reset the connection with one party or with both. Whom it spares hears nothing more, and no end."""
        for way in self.ways:
            way.is_lost = True
            if way.direction in directions_of(side):
                reset(way.sink)
        self.board.ring()

    def hang_up(self, side: Side) -> None:
        """Say to one party or to both that nothing more will come."""
        for way in self.ways:
            if way.direction in directions_of(side):
                way.is_lost = True
                _say_end(way.sink)
        self.board.ring()

    def end(self, way: Way, *, is_reset: bool) -> None:
        """Pass on the end of one way."""
        if is_reset:
            self.cut("both")
        else:
            _say_end(way.sink)


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a crash would: what is not yet sent is lost, and the other side gets an RST."""
    with suppress(OSError):  # it may be closed already
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    writer.transport.abort()


def _say_end(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.write_eof()
