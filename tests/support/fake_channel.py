"""A channel in confirm mode whose every publish ends as the test says."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import cast

from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError, ConnectionInternalError, DeliveryError
from pamqp.commands import Basic

from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.doubt import Doubt
from worker.amqp.messages import WireMessage

# What becomes of a publish: None is a confirm, an error is raised, and what hangs waits for its deadline.
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
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    holds: dict[str, asyncio.Event] = field(default_factory=dict)
    timeouts_s: list[float] = field(default_factory=list)

    async def basic_publish(
        self,
        body: bytes,
        *,
        exchange: str,  # noqa: ARG002 - as aiormq has it
        routing_key: str,
        properties: Basic.Properties,  # noqa: ARG002
        mandatory: bool,  # noqa: ARG002
        timeout: float,
        wait: bool,  # noqa: ARG002
    ) -> None:
        if self.is_closed:
            raise ChannelInvalidStateError("closed")
        self.sent.append(routing_key)
        self.timeouts_s.append(timeout)
        self.bodies.append((routing_key, body))
        self.in_flight_now += 1
        self.in_flight_most = max(self.in_flight_most, self.in_flight_now)
        try:
            await self._end(routing_key, timeout, was_before=not self.is_closed and routing_key not in self.fatal)
        finally:
            self.in_flight_now -= 1

    async def _end(self, routing_key: str, timeout_s: float, *, was_before: bool) -> None:
        if routing_key in self.fatal:
            self.is_closed = True
            self.ended.set()
        await asyncio.sleep(0)
        if self.ended.is_set() and (self.loses_confirms or not was_before):
            raise ConnectionResetError("the broker closed the connection")
        if routing_key in self.holds:
            await self.holds[routing_key].wait()
        fate = self.fate(routing_key)
        if fate is HANGS:
            async with asyncio.timeout(timeout_s):
                await asyncio.Event().wait()
        if fate is not None:
            raise fate

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
        self.is_closed = True

    def confirming(
        self,
        *,
        timeout_s: float = 5.0,
        in_flight_max: int = 256,
        renew: "Callable[[], Awaitable[FakeChannel]] | None" = None,
        canary: WireMessage | None = None,
        doubt: Doubt | None = None,
    ) -> ConfirmingChannel:
        """What is tested, over this channel."""
        return ConfirmingChannel(
            cast("Channel", self),
            timeout_s=timeout_s,
            in_flight_max=in_flight_max,
            renew=cast("Callable[[], Awaitable[Channel]] | None", renew),
            canary=canary,
            doubt=doubt,
        )
