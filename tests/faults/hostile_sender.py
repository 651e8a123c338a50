"""A publisher that sends hostile messages, and knows of each what the broker said to it."""

import asyncio
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from typing_extensions import override

from tests.faults.hostile import HostileMessage
from tests.support import raw_amqp as raw

_WITHIN_S: Final = 30.0
_WINDOW: Final = 50  # in one write
_FRAME_BYTES_MAX: Final = 131_072 - 8

_ACK, _NACK = (raw.BASIC, 80), (raw.BASIC, 120)
_ENDS: Final = frozenset({(10, 50), (20, 40)})  # Connection.Close, Channel.Close


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What became of the messages at the broker. Of an unknown one it was not said before the connection ended."""

    accepted: list[HostileMessage] = field(default_factory=list)
    refused: list[HostileMessage] = field(default_factory=list)
    unknown: list[HostileMessage] = field(default_factory=list)
    connections: int = 0


class HostileSender(AbstractAsyncContextManager["HostileSender"]):
    """Sends many in one write, and alone what is likely to end the connection, so that it takes no other's confirm
    along. Connects again when that has happened.
    """

    def __init__(self, url: str, exchange: str, *, is_risky: Callable[[HostileMessage], bool]) -> None:
        self.ledger = Ledger()
        self._url = url
        self._exchange = exchange.encode()
        self._is_risky = is_risky
        self._connection: _Connection | None = None

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._disconnect()

    async def send(self, messages: Iterable[HostileMessage]) -> None:
        """Send all, in order, and wait until the broker has said something to each."""
        window: list[HostileMessage] = []
        for message in messages:
            risky = self._is_risky(message)
            if window and (risky or len(window) == _WINDOW):
                await self._send(window)
                window = []
            if risky:
                await self._send([message])
            else:
                window.append(message)
        if window:
            await self._send(window)

    async def _send(self, window: Sequence[HostileMessage]) -> None:
        if self._connection is None:
            self._connection = await _Connection(self._url).__aenter__()
            self.ledger.connections += 1
        said, stands = await self._connection.publish_all(self._exchange, window)
        silent = self.ledger.refused if len(window) == 1 else self.ledger.unknown
        for message, accepted in zip(window, said, strict=True):
            (silent if accepted is None else self.ledger.accepted if accepted else self.ledger.refused).append(
                message
            )
        if not stands:
            await self._disconnect()

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):  # the broker was faster
                await connection.__aexit__(None, None, None)


class _Connection(raw.RawPublisher):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._tag = 0

    async def publish_all(
        self, exchange: bytes, messages: Sequence[HostileMessage]
    ) -> tuple[list[bool | None], bool]:
        """Publish all in one write. Return whether each was accepted (None: not said), and whether the connection
        still stands.
        """
        said: dict[int, bool] = {}
        first, self._tag = self._tag + 1, self._tag + len(messages)
        for message in messages:
            self._send_message(exchange, message)
        stands = True
        try:
            async with asyncio.timeout(_WITHIN_S):
                while stands and len(said) < len(messages):
                    stands = self._note(await self._frame(), first, said)
        except TimeoutError as silence:
            raise AssertionError("the broker neither confirms nor ends the connection") from silence
        except (OSError, asyncio.IncompleteReadError):
            stands = False
        return [said.get(tag) for tag in range(first, self._tag + 1)], stands

    def _send_message(self, exchange: bytes, message: HostileMessage) -> None:
        arguments = struct.pack(">H", 0) + raw.short(exchange) + raw.short(message.routing_key) + b"\x00"
        self._send_method(1, raw.BASIC, 40, arguments)
        self._send(2, 1, message.header)
        for start in range(0, len(message.body), _FRAME_BYTES_MAX):
            self._send(3, 1, message.body[start : start + _FRAME_BYTES_MAX])

    def _note(self, method: tuple[tuple[int, int], bytes], first: int, said: dict[int, bool]) -> bool:
        kind, arguments = method
        if kind in (_ACK, _NACK):
            tag, multiple = struct.unpack_from(">QB", arguments)
            unsaid = range(first, tag) if multiple & 1 else ()
            said |= {each: kind == _ACK for each in (*unsaid, tag) if each not in said}
        return kind not in _ENDS

    async def _frame(self) -> tuple[tuple[int, int], bytes]:
        _, _, size = struct.unpack(">BHI", await self._reader.readexactly(7))
        payload = await self._reader.readexactly(size + 1)
        return struct.unpack_from(">HH", payload), payload[4:]
