"""The client of devices."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import UUID

from schemas import CommandName, Problem, StreamReply
from stream_client.address import checked_address
from stream_client.post import Patience, Post
from stream_client.problems import refusal


class StreamsClient:
    """Asks for streams. Safe to share between tasks of one event loop.

    It connects when it is first used, and again when the connection was lost. As a context manager it closes
    itself.

    `timeout_s` is how long one request may take, all its tries together. `attempt_s` is how long one try waits for
    its reply before the same command is sent again; `attempts_max` is how many tries there are, by default as many
    as the time allows. Between two tries it waits, at first 0.2 s at most, then longer each time up to 10 s. A
    command that is sent again keeps its `message_id`, so it takes effect once, also across a restart of the broker
    or of the worker. One whose problem is `retryable` is sent again too, if there is time and a try left: when the
    worker has said, or after 10 s. No other refusal is asked about twice.

    A command says when it was made, so that one that turns up after days, when its answer is forgotten, is refused
    and not carried out twice. `timestamps=False` leaves that out: for a device whose clock may be wrong, all of
    whose commands could be refused with StreamExpired.

    The `outcome` of a reply, and the `status` of a stream, can be words that came later than this package: plain
    texts then, of a command that was carried out.

    Requests do not wait for one another: hundreds may be under way on the one connection.

    Raises ValueError for an address that is none, or whose encryption would not be what it looks like.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "streams",
        timeout_s: float = 10.0,
        attempt_s: float = 3.0,
        attempts_max: int | None = None,
        timestamps: bool = True,
    ) -> None:
        checked_address(url)
        self._patience = Patience(timeout_s=timeout_s, attempt_s=attempt_s, attempts_max=attempts_max)
        self._timestamps = timestamps
        self._post = Post(url, exchange=f"{namespace}.commands")

    async def create(
        self,
        device_id: str,
        *,
        message_id: str | None = None,
        made_at: datetime | None = None,
        timeout_s: float | None = None,
    ) -> StreamReply:
        """Return the device's active stream; one is made if there is none.

        `message_id`, `made_at` and `timeout_s` are those of `request`, which tells what is raised too, but for the
        problem: here that is a StreamProblem, of its code's own class.
        """
        return await self._ask(CommandName.CREATE, {"device_id": device_id}, message_id, made_at, timeout_s)

    async def stop(
        self,
        *,
        device_id: str | None = None,
        stream_id: UUID | str | None = None,
        code: str | None = None,
        message_id: str | None = None,
        made_at: datetime | None = None,
        timeout_s: float | None = None,
    ) -> StreamReply:
        """End the stream that exactly one of the first three names. Ending an ended one succeeds.

        The rest, and what is raised, is as in `create`; StreamNotFound where there is no such stream.
        """
        return await self._ask(
            CommandName.STOP, _selector(device_id, stream_id, code), message_id, made_at, timeout_s
        )

    async def get(
        self,
        *,
        device_id: str | None = None,
        stream_id: UUID | str | None = None,
        code: str | None = None,
        message_id: str | None = None,
        made_at: datetime | None = None,
        timeout_s: float | None = None,
    ) -> StreamReply:
        """Return the stream that exactly one of the first three names; by device its active one, else its latest.

        The rest, and what is raised, is as in `create`; StreamNotFound where there is no such stream.
        """
        return await self._ask(
            CommandName.GET, _selector(device_id, stream_id, code), message_id, made_at, timeout_s
        )

    async def request(
        self,
        command: str,
        body: Mapping[str, object],
        *,
        message_id: str | None = None,
        made_at: datetime | None = None,
        timeout_s: float | None = None,
    ) -> StreamReply | Problem:
        """Send any command and return its answer, a problem too.

        With a `message_id` of your own, repeating it after a StreamTimeout, or after your own restart, is safe:
        the answer is the one it had. Without it, each call gets a new one. `made_at` is when the command was first
        made, by default now: who may repeat one after days keeps that too. `timeout_s` takes the place of the
        client's for this one.

        Where an earlier try of this request may have been carried out, a problem that is `retryable` is no answer
        for that one, and StreamTimeout is raised. Of what you asked before with this `message_id` the client does
        not know: there a problem that is `retryable`, `forbidden` or `expired` says nothing of what became of it.

        Raises ValueError for a wrong `message_id` or time, StreamTimeout or StreamUnreadable where it remains
        unknown whether it was carried out (they name the `message_id`), StreamUnavailable where it was not sent.
        """
        patience = self._patience if timeout_s is None else replace(self._patience, timeout_s=timeout_s)
        if made_at is None and self._timestamps:
            made_at = datetime.now(UTC)
        return await self._post.ask(command, body, message_id=message_id, made_at=made_at, patience=patience)

    async def close(self) -> None:
        """Close the connection that commands use. Requests that still wait raise StreamTimeout or
        StreamUnavailable. Idempotent.
        """
        await self._post.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(
        self,
        command: CommandName,
        body: Mapping[str, object],
        message_id: str | None,
        made_at: datetime | None,
        timeout_s: float | None,
    ) -> StreamReply:
        answer = await self.request(command, body, message_id=message_id, made_at=made_at, timeout_s=timeout_s)
        if isinstance(answer, Problem):
            raise refusal(answer)
        return answer


def _selector(device_id: str | None, stream_id: UUID | str | None, code: str | None) -> dict[str, object]:
    """Leave out what was not given. Whether it is exactly one is for the worker to judge, in one place."""
    named = {"device_id": device_id, "stream_id": None if stream_id is None else str(stream_id), "code": code}
    return {name: value for name, value in named.items() if value is not None}
