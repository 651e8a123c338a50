"""The devices' and the subscriber's side of the wire: the one place here that knows the client."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from devtools.demo.ledger import Answer, Fact
from schemas import Problem
from stream_client import EventSubscriber, StreamClientError, StreamsClient


class Phone:
    """A device's own connection.

    The client's habit of asking again is off: what the worker has lost would come back by it, and nobody would
    notice. A command that has no answer after `patience_s` has none.
    """

    def __init__(self, url: str, *, patience_s: float) -> None:
        self._client = StreamsClient(url, timeout_s=patience_s, attempt_s=patience_s, attempts_max=1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    async def ask(self, command: str, body: str, message_id: str) -> Answer | None:
        """Send a command and return its answer, None where none came, or one that nobody can read."""
        try:
            answer = await self._client.request(command, json.loads(body), message_id=message_id)
        except StreamClientError:
            return None
        if isinstance(answer, Problem):
            return Answer(word=answer.code, text=answer.model_dump_json())
        return Answer(
            word=answer.outcome,
            text=answer.model_dump_json(),
            device_id=answer.stream.device_id,
            stream_id=str(answer.stream.id),
        )

    async def hang_up(self) -> None:
        """Lose the connection, and with it every answer that has not come yet."""
        await self._client.close()


class Ear:
    """A subscriber to everything: what happens from the moment on at which it is entered.

    Gaps are for the books to find: they know what has to be there.
    """

    def __init__(self, url: str) -> None:
        self._subscription = EventSubscriber(url, on_gap=None)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self._subscription)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def facts(self) -> AsyncIterator[Fact]:
        """Yield each event, for ever; the client drops what comes again."""
        async for event in self._subscription:
            yield Fact(
                event_id=str(event.id),
                kind=event.type,
                device_id=event.stream.device_id,
                stream_id=str(event.stream.id),
                code=event.stream.code,
                sequence=event.number,
                cause=event.causationid,
            )
