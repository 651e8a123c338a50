"""One direction of a connection through a proxy, where bytes go through whatever is wrong with it."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from tests.support.line_faults import Board, Side
from tests.support.parcel import Parcel
from tests.support.said import Direction, Said

_CHUNK_BYTES: Final = 65_536
_UNDER_WAY_BYTES_MAX: Final = 1024 * 1024

Note: TypeAlias = Callable[[Iterable[Said]], None]


class Reading(Protocol):
    """What reads along on a line."""

    name: str

    def parcels(self, direction: Direction, data: bytes) -> list[Parcel]:
        """Read what came, and return what may go on."""

    def rest(self, direction: Direction) -> list[Parcel]:
        """Return what is left at the end."""


class Deaf:
    """Reads nothing."""

    name = ""

    def parcels(self, _direction: Direction, data: bytes) -> list[Parcel]:
        return [Parcel(raw=data, at_s=time.monotonic())]

    def rest(self, _direction: Direction) -> list[Parcel]:
        return []


class Whole(Protocol):
    """The line of which a way is one half."""

    number: int
    reading: Reading
    board: Board
    note: Note

    def cut(self, side: Side) -> None:
        """Reset the connection with one party or with both."""

    def hang_up(self, side: Side) -> None:
        """Say to one party or to both that nothing more will come."""

    def end(self, way: "Way", *, is_reset: bool) -> None:
        """Pass on the end of one way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """The end of what came: orderly, or by a reset."""

    at_s: float
    is_reset: bool


class Way:
    """One direction of a line. Once it is lost, what comes is swallowed, and its end too."""

    def __init__(
        self, line: Whole, direction: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        self.number = line.number
        self.direction: Direction = direction
        self.passed_bytes = 0
        self.is_lost = False
        self.sink = sink
        self._line, self._board, self._source = line, line.board, source
        self._parcels: asyncio.Queue[Parcel | _End] = asyncio.Queue()
        self._under_way_bytes = 0
        self._room = asyncio.Event()
        sink.transport.set_write_buffer_limits(high=0)  # or drain() would not wait for the last byte

    @property
    def name(self) -> str:
        return self._line.reading.name

    async def receive(self) -> None:
        """Take in what comes, until its end."""
        is_reset = False
        try:
            while data := await self._source.read(_CHUNK_BYTES):
                await self._take_in(data)
        except OSError:
            is_reset = True
        for parcel in self._line.reading.rest(self.direction):
            self._put(parcel)
        self._parcels.put_nowait(_End(at_s=time.monotonic(), is_reset=is_reset))

    async def _take_in(self, data: bytes) -> None:
        name_before = self.name
        for parcel in self._line.reading.parcels(self.direction, data):
            self._put(parcel)
        if self.name != name_before and self._board.refuses(self.number, self.name):
            self._line.cut("both")
        while self._under_way_bytes > _UNDER_WAY_BYTES_MAX:
            self._room.clear()
            await self._room.wait()

    def _put(self, parcel: Parcel) -> None:
        if self.direction == "to_server":  # it is heard when the client has said it, whatever becomes of it
            self._line.note(parcel.said)
        self._under_way_bytes += len(parcel.raw)
        self._parcels.put_nowait(parcel)

    async def deliver(self) -> None:
        """Pass on what was taken in, until its end."""
        while isinstance(item := await self._parcels.get(), Parcel):
            for part in item.one_by_one() if self._board.parts_confirms(self) else [item]:
                await self._pass_on(part)
            self._under_way_bytes -= len(item.raw)
            self._room.set()
        await self._until_due(item.at_s)
        if not self._swallows():
            self._line.end(self, is_reset=item.is_reset)

    async def _pass_on(self, parcel: Parcel) -> None:
        await self._until_due(parcel.at_s)
        if self._swallows():
            return
        self._board.tell_before(parcel)
        rest = parcel.raw
        while rest:
            await self._until_due(parcel.at_s)
            if self._swallows() or self._is_cut():
                return
            size_bytes = self._board.piece_bytes(self, len(rest))
            piece, rest = rest[:size_bytes], rest[size_bytes:]
            await self._write(piece, done=None if rest else parcel)
        self._is_cut()

    async def _write(self, piece: bytes, *, done: Parcel | None) -> None:
        if done is not None and self.direction == "to_client":  # it is heard before the client can act on it
            self._line.note(done.said)
        self.sink.write(piece)
        self.passed_bytes += len(piece)
        then = self._board.tell_after(done) if done is not None else []
        try:
            await self.sink.drain()
        except OSError:
            self.is_lost = True
        for tell in then:
            tell()
        await asyncio.sleep(0)

    async def _until_due(self, since_s: float) -> None:
        while not self.is_lost:
            wait_s = self._board.wait_s(self, since_s=since_s, now_s=time.monotonic())
            if wait_s <= 0:
                return
            await self._board.changed(wait_s)

    def _swallows(self) -> bool:
        self.is_lost = self.is_lost or self._board.loses(self)
        return self.is_lost

    def _is_cut(self) -> bool:
        is_cut = self._board.cuts(self)
        if is_cut:
            self._line.hang_up(
                self.direction
            )  # so that who was sent so many bytes reads them; an RST would outrun them
            self._line.cut("to_client" if self.direction == "to_server" else "to_server")
        return is_cut
