"""A channel in confirm mode whose every publish ends as the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiormq.abc import ChannelFrame, DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError, ConnectionInternalError, DeliveryError
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic

from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.doubt import Doubt, Patience
from worker.amqp.messages import WireMessage

# What becomes of a publish: None is a confirm, a DeliveryError is a nack or a return, with any other error the
# connection is lost, and what hangs waits for its deadline.
Fate = BaseException | None
HANGS = TimeoutError("a place holder")


def nack() -> DeliveryError:
    """What aiormq raises at a publish that the broker refused."""
    return DeliveryError(cast("DeliveredMessage", None), Basic.Nack(delivery_tag=1))


def wire(routing_key: str, *, mandatory: bool = False, may_wait: bool = False) -> WireMessage:
    """A message that is told by its routing key."""
    return WireMessage(
        exchange="",
        routing_key=routing_key,
        properties=Basic.Properties(),
        body=b"",
        mandatory=mandatory,
        may_wait=may_wait,
    )


def published(payload: bytes) -> Iterator[tuple[str, bytes]]:
    """The routing key and the body of each message that these frames are."""
    key, body = None, b""
    while payload:
        used, _, found = frame.unmarshal(payload)
        payload = payload[used:]
        if isinstance(found, Basic.Publish):
            if key is not None:
                yield key, body
            key, body = found.routing_key, b""
        elif isinstance(found, ContentBody):
            body += found.value
    if key is not None:
        yield key, body


@dataclass(slots=True, eq=False)
class FakeChannel:
    """`fate` decides by routing key; `fatal` are the keys at which the connection ends. As with RabbitMQ, what was
    published before is confirmed then; `loses_confirms` is a broker that does not get that far. What `holds` has a
    key for waits for its event.
    """

    fate: Callable[[str], Fate] = lambda _: None
    fatal: frozenset[str] = frozenset()
    sent: list[str] = field(default_factory=list)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    in_flight_now: int = 0
    in_flight_most: int = 0
    is_closed: bool = False
    loses_confirms: bool = False
    is_cut: bool = False
    holds: dict[str, asyncio.Event] = field(default_factory=dict)
    number: int = 1
    max_content_size: int = 131_064
    delivery_tag: int = 0
    confirmations: "dict[int, asyncio.Future[Any]]" = field(default_factory=dict)
    message_id_delivery_tag: dict[str, int] = field(default_factory=dict)
    futures: "list[asyncio.Future[Any]]" = field(default_factory=list)
    answering: "set[asyncio.Task[None]]" = field(default_factory=set)

    @property
    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        if self.is_closed:
            raise ChannelInvalidStateError("closed")
        yield

    def create_future(self) -> "asyncio.Future[Any]":
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]

    @property
    def write_queue(self) -> "FakeChannel":
        return self

    async def put(self, written: ChannelFrame) -> None:
        """Take what is written; its confirms come once the publisher has given control back."""
        messages = list(published(written.payload))
        ends = next((place for place, (key, _) in enumerate(messages) if key in self.fatal), None)
        loop = asyncio.get_running_loop()
        first_tag = len(self.sent) + 1
        for tag, (key, body) in enumerate(messages[: None if ends is None else ends + 1], start=first_tag):
            self.sent.append(key)
            self.bodies.append((key, body))
            self.in_flight_now += 1
            if key in self.fatal:
                loop.call_soon(self.lose, ConnectionResetError("the broker closed the connection"))
            elif ends is None or not self.loses_confirms:
                loop.call_soon(self._answer, tag, key)
        self.in_flight_most = max(self.in_flight_most, self.in_flight_now)

    def lose(self, error: BaseException) -> None:
        """End as a channel of aiormq does: all that waits on it is rejected."""
        self.is_closed = True
        for future in self.futures:
            if not future.done():
                future.set_exception(error)
                future.exception()  # as aiormq: nobody needs to look at it

    def _answer(self, tag: int, key: str) -> None:
        if key in self.holds:
            task = asyncio.create_task(self._answer_late(tag, key))
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)
        elif not self.is_closed:
            self._end(tag, self.fate(key))

    async def _answer_late(self, tag: int, key: str) -> None:
        await self.holds[key].wait()
        self._end(tag, self.fate(key))

    def _end(self, tag: int, fate: Fate) -> None:
        if fate is HANGS:
            return
        if fate is not None and not isinstance(fate, DeliveryError):
            self.lose(fate)
            return
        self.in_flight_now -= 1
        confirmation = self.confirmations.pop(tag)
        if fate is None:
            confirmation.set_result(Basic.Ack(delivery_tag=tag))
        else:
            confirmation.set_exception(fate)

    def bodies_to(self, routing_key: str) -> list[bytes]:
        """What was sent there, in order."""
        return [body for key, body in self.bodies if key == routing_key]

    @property
    def closing(self) -> "Future[None]":
        """Why it is closed: the broker ends a connection by an internal error, unless it is cut."""
        future: Future[None] = Future()
        if self.is_closed:
            future.set_exception(
                ConnectionResetError() if self.is_cut else ConnectionInternalError("INTERNAL_ERROR")
            )
        return future

    async def close(self) -> None:
        self.lose(ConnectionResetError())

    def confirming(
        self,
        *,
        timeout_s: float = 5.0,
        in_flight_max: int = 256,
        renew: "Callable[[], Awaitable[FakeChannel]] | None" = None,
        canary: WireMessage | None = None,
        doubt: Doubt | None = None,
        patience: Patience | None = None,
    ) -> ConfirmingChannel:
        """What is tested, over this channel."""
        return ConfirmingChannel(
            cast("Channel", self),
            timeout_s=timeout_s,
            in_flight_max=in_flight_max,
            renew=cast("Callable[[], Awaitable[Channel]] | None", renew),
            canary=canary,
            doubt=doubt,
            patience=patience,
        )
