"""What a connection of ours reads: the frames of what the socket had, without an await for each.

aiormq awaits three times for a frame, and has a queue, a task and two sets for a delivery. Here the frames are cut
out of what came as it comes. What `Shortcut` takes is done with; everything else is left to aiormq, byte for byte
and in order, and with it every judgement on what is no AMQP.
"""

import asyncio
import struct
import time
from collections.abc import Iterable
from typing import Final, SupportsIndex

from pamqp.constants import FRAME_BODY, FRAME_END, FRAME_HEADER, FRAME_HEARTBEAT, FRAME_METHOD
from pamqp.heartbeat import Heartbeat
from typing_extensions import override

from worker.amqp.shortcut import Shortcut

FRAMES_A_TURN_MAX: Final = 256  # of a few microseconds each; then whoever else waits for the event loop has it
TURN_MAX_S: Final = 0.01  # for a stranger's headers may take milliseconds each
HEARD_EVERY_S: Final = 1.0  # well below aiormq's patience, which is three seconds or more

_HEAD: Final = struct.Struct(">BHI")  # type, channel, size (AMQP 0-9-1, section 4.2.3)
_AROUND: Final = _HEAD.size + 1  # a byte ends it
_KINDS: Final = {FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT}
_HEARTBEAT: Final = Heartbeat().marshal()


class FrameReader(asyncio.StreamReader):
    """The stream that aiormq reads, from which `shortcut` takes out what it wants."""

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self.shortcut = Shortcut()
        self._came: list[bytes] = []
        self._came_bytes = 0
        self._data = b""  # what of it is looked through, from `_at` on
        self._at = 0
        self._wanted_bytes = 1  # how many more make a whole frame; 0: there is one, and its turn is later
        self._later: asyncio.Handle | None = None
        self._unread_bytes = 0  # what aiormq has not read yet
        self._heard_s = 0.0
        self._is_raw = False  # what came is no AMQP, so nothing behind it is a frame
        self._is_over = False

    @override
    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self._came.append(bytes(data))
        self._came_bytes += len(self._came[-1])
        if self._later is None and self._wanted_bytes <= self._came_bytes:
            self._go_on()

    @override
    def feed_eof(self) -> None:
        self._is_over = True
        if self._later is None:
            self._end()

    @override
    def set_exception(self, exc: Exception) -> None:
        self._is_raw = True
        self._data, self._at, self._wanted_bytes = b"", 0, 1
        self._came.clear()
        super().set_exception(exc)

    @override
    async def readexactly(self, n: int) -> bytes:
        data = await super().readexactly(n)
        self._unread_bytes -= n
        return data

    def _go_on(self) -> None:
        """Look through the frames of one turn, and see to it that there is another where one is due."""
        self._later = None
        if self._wanted_bytes:
            self._data, self._at = b"".join((self._data[self._at :], *self._came)), 0
            self._came, self._came_bytes = [], 0
        try:
            self._wanted_bytes = self._turn()
        except Exception as error:  # noqa: BLE001 - a defect too: what this turn has taken must not be taken again
            self.set_exception(error)
        if self._is_raw:
            self._pass_all()
        elif self._wanted_bytes <= self._came_bytes:
            self._later = asyncio.get_running_loop().call_soon(self._go_on)
        elif self._wanted_bytes:
            self._data, self._at = self._data[self._at :], 0
        if self._is_over and self._later is None:
            self._end()

    def _turn(self) -> int:
        """Return how many more bytes the next frame wants; 0 where it may be there, and comes in the next turn."""
        data, at, take = self._data, self._at, self.shortcut.take
        passed, taken, wanted, have, until_s = at, 0, 0, len(data), time.monotonic() + TURN_MAX_S
        for _ in range(0 if self._is_raw else FRAMES_A_TURN_MAX):
            if have - at < _HEAD.size:
                wanted = _HEAD.size - (have - at)
                break
            kind, number, size = _HEAD.unpack_from(data, at)
            end = at + size + _AROUND
            if end > have or data[end - 1] != FRAME_END:
                self._is_raw = end <= have or kind not in _KINDS
                wanted = end - have
                break
            if take(
                kind, number, data[at + _HEAD.size : end - 1], is_next=not self._unread_bytes and passed == at
            ):
                if passed != at:
                    self._pass(data[passed:at])
                passed, taken = end, taken + 1
            at = end
            if time.monotonic() > until_s:
                break
        self._at = at
        self._pass(data[passed:at])
        if taken:
            self._say_heard()
        return wanted

    def _say_heard(self) -> None:
        """Let aiormq know that the broker lives: it saw nothing of what was taken. A heartbeat says just that."""
        if (now_s := time.monotonic()) - self._heard_s >= HEARD_EVERY_S:
            self._heard_s = now_s
            self._pass(_HEARTBEAT)

    def _pass(self, data: bytes) -> None:
        if data:
            self._unread_bytes += len(data)
            super().feed_data(data)

    def _pass_all(self) -> None:
        data = b"".join((self._data[self._at :], *self._came))
        self._data, self._at, self._wanted_bytes = b"", 0, 1
        self._came, self._came_bytes = [], 0
        self._pass(data)

    def _end(self) -> None:
        self._pass_all()
        super().feed_eof()
