"""A broker that shakes hands, answers what has an answer, and otherwise says what the test has it say."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Any, Final, Self

from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Confirm, Connection
from pamqp.header import ContentHeader

FRAME_BYTES_MAX: Final = 131_072
_WITHIN_S: Final = 60.0
_START: Final = Connection.Start(
    server_properties={"capabilities": {"publisher_confirms": True, "basic.nack": True}}, mechanisms="PLAIN"
)


def _nothing(_: object) -> list[Any]:
    return []


def frames(channel: int, *said: Any) -> bytes:
    """What a broker writes to say this on a channel."""
    return b"".join(frame.marshal(one, channel) for one in said)


def delivery(consumer_tag: str, tag: int, *bodies: bytes, **properties: Any) -> list[Any]:
    """The frames of a delivery, with a frame for each of these bodies."""
    size = sum(len(body) for body in bodies)
    header = ContentHeader(0, size, Basic.Properties(**properties))
    return [
        Basic.Deliver(consumer_tag, tag, redelivered=False, exchange="x", routing_key="k"),
        header,
        *map(ContentBody, bodies),
    ]


class ScriptedBroker(AbstractAsyncContextManager["ScriptedBroker"]):
    """For one connection. `heard` is all that the client has said; `answers` may be changed."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Any]] = []
        self.answers: dict[type, Callable[[Any], list[Any]]] = {
            Connection.StartOk: lambda _: [Connection.Tune(10, FRAME_BYTES_MAX, 0)],
            Connection.Open: lambda _: [Connection.OpenOk()],
            Connection.Close: lambda _: [Connection.CloseOk()],
            Channel.Open: lambda _: [Channel.OpenOk()],
            Channel.Close: lambda _: [Channel.CloseOk()],
            Confirm.Select: lambda _: [Confirm.SelectOk()],
            Basic.Qos: lambda _: [Basic.QosOk()],
            Basic.Consume: lambda said: [Basic.ConsumeOk(said.consumer_tag)],
            Basic.Cancel: lambda said: [Basic.CancelOk(said.consumer_tag)],
        }

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        if hasattr(self, "_writer"):
            self.hang_up()
            with suppress(OSError):
                await self._writer.wait_closed()

    def say(self, *said: Any, channel: int = 1) -> None:
        """Say all of this in one go."""
        self.write(frames(channel, *said))

    def write(self, data: bytes) -> None:
        """Write bytes of any kind."""
        self._writer.write(data)

    def hang_up(self) -> None:
        """Close the connection behind what was said."""
        self._writer.close()

    async def until_heard(self, kind: type, count: int = 1) -> list[Any]:
        """Wait until the client has said so many of this kind, and return them."""
        async with asyncio.timeout(_WITHIN_S):
            while len(found := [said for _, said in self.heard if isinstance(said, kind)]) < count:
                await self._news.wait()
                self._news.clear()
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._news = asyncio.Event()
        with suppress(OSError, EOFError):
            await reader.readexactly(8)
            self.say(_START, channel=0)
            while True:
                head = await reader.readexactly(7)
                rest = await reader.readexactly(int.from_bytes(head[3:]) + 1)
                _, number, said = frame.unmarshal(head + rest)
                self.heard.append((number, said))
                self._news.set()
                self.say(*self.answers.get(type(said), _nothing)(said), channel=number)
