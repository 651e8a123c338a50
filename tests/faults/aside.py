"""Somebody beside the crowd, who says chosen things: what is told to it, stands in the crowd's journal.

What they say is the harm: it is done when the last of it is said.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from aiormq.abc import DeliveredMessage
from typing_extensions import override

from tests.faults.history import Fate, Request
from tests.faults.journal import now_s
from tests.faults.line import DIRECT, Line
from tests.faults.world import World
from tests.support.raw_amqp import RawPublisher

CREATE: Final = "stream.create"
GUEST: Final = "guest"

_CONFIRMED_WITHIN_S: Final = 60.0
_ANSWERED_WITHIN_S: Final = 60.0
_PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to ask: a command by its kind and body. Without a message id it gets none."""

    body: bytes
    kind: str = CREATE
    message_id: str | None = None
    is_poison: bool = False

    @classmethod
    def of(cls, device_id: str, *, kind: str = CREATE, message_id: str = "") -> Self:
        """Ask something of a device, under a message id of its own where none is given."""
        body = json.dumps({"device_id": device_id}).encode()
        return cls(body=body, kind=kind, message_id=message_id or uuid.uuid4().hex)


class Aside(AbstractAsyncContextManager["Aside"]):
    """Asks by the login of `sender`, who is at `url`. Answers go to the first party's queue that lasts, as if that
    one had asked.
    """

    def __init__(self, world: World, *, sender: str = GUEST, url: str = "") -> None:
        self._world = world
        self._journal = world.crowd.journal
        self._asker, self._queue = next(iter(world.crowd.reply_queues.items()))
        self._sender = sender
        self._line = Line(
            url or world.servers.broker.url, namespace=world.namespace, name=f"aside {sender}", hear=_ignore
        )

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._line.close()

    async def tell(self, wish: Wish) -> Request:
        """Ask, and return when the broker has confirmed. Raises TimeoutError."""
        request = self.request(wish, reply_to=self._queue)
        self._journal.add_request(request)
        await self._until_confirmed(request)
        return request

    async def ask(self, wish: Wish) -> Request:
        """Ask, and wait for the answer. Raises TimeoutError."""
        request = await self.tell(wish)
        await self.answered([request])
        return request

    async def answered(self, requests: Sequence[Request]) -> None:
        """Wait until each has an answer. Raises TimeoutError."""
        async with asyncio.timeout(_ANSWERED_WITHIN_S):
            for request in requests:
                await self._journal.until_answered(request.correlation_id, within_s=_ANSWERED_WITHIN_S)

    async def tell_silently(self, wish: Wish) -> Request:
        """Ask for no answer. Raises TimeoutError."""
        request = self.request(wish, reply_to=None)
        self._journal.add_request(request)
        await self._until_confirmed(request)
        return request

    async def tell_for(self, address: str, wish: Wish) -> None:
        """Ask for an answer to a queue that is gone, or to this line, which closes before it.

        Raises TimeoutError.
        """
        noted = f"{self._world.namespace} gone" if address == DIRECT else address
        self._world.gone.add(noted)
        request = self.request(wish, reply_to=address)
        self._journal.add_request(replace(request, reply_to=noted))
        await self._until_confirmed(request)

    async def tell_raw(self, publisher: RawPublisher, header: bytes, body: bytes) -> None:
        """Send a poison that no library would write, and that asks for no answer. Raises AssertionError."""
        request = self.request(Wish(body=body, is_poison=True), reply_to=None)
        self._journal.add_request(request)
        await publisher.publish(f"{self._world.namespace}.commands", b"aside", header, body)
        self._journal.add_try(request.correlation_id, Fate.CONFIRMED)
        self._world.mended()

    def request(self, wish: Wish, *, reply_to: str | None) -> Request:
        """Return what is asked, of which nobody knows yet."""
        return Request(
            correlation_id=uuid.uuid4().hex,
            asker=self._asker,
            sender=self._sender,
            message_id=wish.message_id,
            kind=wish.kind,
            body=wish.body,
            reply_to=reply_to,
            at_s=now_s(),
            is_poison=wish.is_poison,
        )

    async def _until_confirmed(self, request: Request) -> None:
        async with asyncio.timeout(_CONFIRMED_WITHIN_S):
            while True:
                fate = await self._line.publish(request)
                self._journal.add_try(request.correlation_id, fate)
                if fate is Fate.CONFIRMED:
                    self._world.mended()
                    return
                await asyncio.sleep(_PAUSE_S)


def _ignore(_message: DeliveredMessage) -> None:
    """It asks for direct replies only when it is about to leave."""
