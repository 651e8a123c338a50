"""Sends commands and brings their replies back, with as many tries as its time allows."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiormq.abc import DeliveredMessage
from yarl import URL

from schemas import Problem, StreamReply
from stream_client.broker_call import LinkLost, broker_call
from stream_client.deadline import Deadline
from stream_client.errors import (
    StreamClientError,
    StreamMisconfigured,
    StreamTimeout,
    StreamUnavailable,
    StreamUncertain,
)
from stream_client.letter import Letter, read_answer, write_letter
from stream_client.line import Line
from stream_client.link import place_of
from stream_client.pauses import growing_pauses, told_to_wait_s
from stream_client.problems import refusal
from stream_client.trouble import Trouble

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request may take in all, how long one try of it, and how many tries there are (None: as many as
    the time allows).
    """

    timeout_s: float
    attempt_s: float
    attempts_max: int | None


class Post:
    """The commands of one client. Safe to share between tasks."""

    def __init__(self, url: str, *, exchange: str) -> None:
        self._url = url
        self._sender = URL(url).user
        self._exchange = exchange
        self._opening = asyncio.Lock()
        self._line: Line | None = None
        self._waiting: dict[str, asyncio.Future[DeliveredMessage]] = {}
        self._farewells: set[asyncio.Task[None]] = set()
        self._closed = asyncio.Event()

    async def ask(
        self,
        command: str,
        body: Mapping[str, object],
        *,
        message_id: str | None,
        made_at: datetime | None,
        patience: Patience,
    ) -> StreamReply | Problem:
        """Send one command and return its answer. One that can succeed later is sent again then, if there is
        time and a try left.

        Raises StreamTimeout, StreamUnavailable or StreamUnreadable; ValueError where it cannot be written.
        """
        letter = write_letter(command, body, message_id, made_at=made_at, sender=self._sender)
        deadline, pauses, trouble = Deadline(patience.timeout_s), growing_pauses(), Trouble()
        try:
            while True:
                answer = read_answer(await self._await_reply(letter, patience, deadline, trouble))
                if not isinstance(answer, Problem) or (told_s := told_to_wait_s(answer)) is None:
                    return answer
                # Many may be told the same: with a pause of its own each, they do not come back all at once.
                wait_s = told_s + next(pauses)
                if wait_s >= deadline.left_s or trouble.tries == patience.attempts_max:
                    trouble.raise_doubt(refusal(answer))
                    return answer
                log.info("command.too_early", extra={"wait_s": wait_s, "code": answer.code})
                letter = letter.again()
                await self._pause(letter, wait_s)
        except StreamUncertain as error:
            error.message_id = letter.message.message_id
            raise

    async def close(self) -> None:
        """Close the connection. What still waits ends with StreamTimeout or StreamUnavailable. Idempotent."""
        self._closed.set()
        async with self._opening:
            self._drop()
        if self._farewells:
            await asyncio.wait(self._farewells)

    async def _await_reply(
        self, letter: Letter, patience: Patience, deadline: Deadline, trouble: Trouble
    ) -> DeliveredMessage:
        self._waiting[letter.correlation_id] = letter.reply
        try:
            return await self._insist(letter, patience, deadline, trouble)
        finally:
            del self._waiting[letter.correlation_id]

    async def _insist(
        self, letter: Letter, patience: Patience, deadline: Deadline, trouble: Trouble
    ) -> DeliveredMessage:
        """Try until there is a reply, or no time or try left."""
        pauses = growing_pauses()
        while True:
            trouble.tries += 1
            try:
                return await self._try(letter, deadline.at_most(patience.attempt_s))
            except StreamMisconfigured as error:  # no further try will help
                trouble.raise_doubt(error)
                raise
            except (StreamTimeout, StreamUnavailable) as error:
                # One that the end of all time cut short does not know what is wrong: there was too little of it.
                if isinstance(error, StreamTimeout) or trouble.tries == 1 or deadline.left_s:
                    trouble.note(error)
            log.info("command.attempt_failed", extra={"attempt": trouble.tries, "reason": str(trouble.worst)})
            if self._closed.is_set() or trouble.tries == patience.attempts_max:
                raise trouble.worst
            pause_s = next(pauses)
            too_late = pause_s >= deadline.left_s  # a try without time would only hide what was wrong before
            await self._pause(letter, min(pause_s, deadline.left_s))
            if too_late and not letter.reply.done():
                raise trouble.worst

    async def _pause(self, letter: Letter, pause_s: float) -> None:
        """Wait, but no longer than until there is a reply or this client is closed."""
        closed = asyncio.create_task(self._closed.wait(), name="stream-client pause")
        either: tuple[asyncio.Future[Any], ...] = (letter.reply, closed)
        try:
            await asyncio.wait(either, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closed.cancel()

    async def _try(self, letter: Letter, deadline: Deadline) -> DeliveredMessage:
        """Send it and wait for its reply; the reply to an earlier try is as good, whatever becomes of this one."""
        try:
            if not letter.reply.done():
                await self._send(letter, deadline)
        except StreamClientError:
            if not letter.reply.done():
                raise
        return letter.reply.result()

    async def _send(self, letter: Letter, deadline: Deadline) -> None:
        """Send it and wait until its reply is there."""
        line = await self._open_line(deadline)
        try:
            await line.send(letter.message, letter.routing_key, within_s=deadline.left_s)
        except LinkLost as error:
            raise StreamTimeout(f"the command was sent and not confirmed: {error}") from error
        either: tuple[asyncio.Future[Any], ...] = (letter.reply, line.link.lost)
        with line.expecting_reply():
            await asyncio.wait(either, timeout=deadline.left_s, return_when=asyncio.FIRST_COMPLETED)
        if not letter.reply.done():
            lost = line.link.lost.done()
            silence = "no reply came in time; is a worker running?"
            raise StreamTimeout("the connection was lost before the reply" if lost else silence)

    async def _open_line(self, deadline: Deadline) -> Line:
        """Return the line, opened anew where there is none or it was lost; one task opens it for all."""
        try:
            async with broker_call(deadline.left_s), self._opening:
                if self._closed.is_set():
                    raise StreamUnavailable("this client is closed")
                if self._line is None or self._line.link.lost.done():
                    self._drop()
                    self._line = await Line.open(
                        self._url, exchange=self._exchange, on_reply=self._on_reply, within_s=deadline.left_s
                    )
                return self._line
        except LinkLost as error:
            raise StreamUnavailable(f"the broker at {place_of(self._url)} cannot be reached: {error}") from error

    def _drop(self) -> None:
        """Forget the line. Saying goodbye to a broker that is gone takes its time, so nobody waits for it."""
        line, self._line = self._line, None
        if line is not None:
            farewell = asyncio.create_task(line.link.close(), name="stream-client farewell")
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)

    def _on_reply(self, reply: DeliveredMessage) -> None:
        """Hand a reply to whoever waits for it. The second to a repeated command finds nobody, and is ignored."""
        waiting = self._waiting.get(reply.header.properties.correlation_id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)
