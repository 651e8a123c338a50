"""The devices' and the subscriber's side of the wire, as the demo sees it."""

import json

from devtools.demo.ledger import Answer, Fact
from schemas import Event, Problem
from stream_client import StreamClientError, StreamsClient


class Phone:
    """A device's own connection.

    The client's habit of asking again is off: what the worker has lost would come back by it, and nobody would
    notice. A command that has no answer after `patience_s` has none.
    """

    def __init__(self, url: str, *, patience_s: float) -> None:
        self._client = StreamsClient(url, timeout_s=patience_s, attempt_s=patience_s, attempts_max=1)

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


def fact_of(event: Event) -> Fact:
    """Return what the books have to know of an event."""
    return Fact(
        event_id=str(event.id),
        kind=event.type,
        device_id=event.stream.device_id,
        stream_id=str(event.stream.id),
        code=event.stream.code,
        sequence=event.number,
        cause=event.causationid,
    )
