"""A batch's first half: loaded, decided and saved. What it returns is what is left to say."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from worker.service.backoff import pauses
from worker.service.decided import Decided, decide_batch, wanted_by
from worker.service.handlers import Mint
from worker.service.messages import (
    Answer,
    DeadLetter,
    Incoming,
    Received,
    Refused,
    Reply,
    Said,
    StoredEvent,
    Unreadable,
)
from worker.service.outstanding import Outstanding
from worker.service.ports import (
    Changes,
    CommitUnknown,
    Renderer,
    Store,
    StoreConflict,
    StoreUnavailable,
    Transaction,
)

T = TypeVar("T")

log = logging.getLogger(__name__)

CONFLICTS_AT_ONCE_MAX: Final = 5  # as many times is beginning again at once; then somebody should get a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a database that is away: growing pauses between these two, for ever."""

    first_s: float = 0.1
    longest_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found to say. `cut_at`: where its limit was reached, the last device; more may be behind it."""

    said: Said
    cut_at: str


class Batches:
    """Carries batches out, one at a time, each in one transaction. Belongs to one task of one epoch."""

    def __init__(
        self,
        *,
        store: Store,
        renderer: Renderer,
        mint: Callable[[], Mint],
        outstanding: Outstanding,
        patience: Patience,
    ) -> None:
        self._store = store
        self._renderer = renderer
        self._mint = mint
        self._outstanding = outstanding
        self._patience = patience

    async def carry_out(self, incoming: Sequence[Incoming]) -> Said:
        """Load, decide and save; return what the batch has to say, in the order in which it came.

        A database that is away holds the batch until it is back: nobody is answered with an error for that.
        """
        commands = [message for message in incoming if isinstance(message, Received)]
        if not commands:
            return self._said(incoming, answers=[], events=[])
        decided = await self._persist(lambda transaction: self._decide(transaction, commands))
        events = self._outstanding.claim([*decided.unpublished, *decided.changes.events])
        # Only now: until it is claimed, an event that was just marked would look like one nobody has published.
        self._outstanding.marked(decided.changes.published)
        return self._said(incoming, answers=decided.answers, events=events)

    async def _decide(self, transaction: Transaction, commands: Sequence[Received]) -> Decided:
        loaded = await transaction.load(wanted_by(commands))
        published = self._outstanding.confirmed
        decided = decide_batch(commands, loaded, mint=self._mint(), renderer=self._renderer, published=published)
        await transaction.save(decided.changes)
        return decided

    async def sweep(self, *, before: datetime, limit: int, after: str = "") -> Swept:
        """Mark what is published, then claim the events that nobody has published, `limit` at most, of the
        devices behind `after` that have one from before that time.
        """

        async def mark_and_look(transaction: Transaction) -> tuple[Sequence[UUID], Sequence[StoredEvent]]:
            published = await self._mark(transaction)
            return published, await transaction.unpublished(before=before, limit=limit, after=after)

        published, unpublished = await self._persist(mark_and_look)
        events = self._outstanding.claim(unpublished)
        self._outstanding.marked(published)
        cut_at = unpublished[-1].device_id if len(unpublished) >= limit else ""
        return Swept(said=Said(events=events), cut_at=cut_at)

    async def mark(self) -> None:
        """Mark what is published, if anything is that is not marked: for when no batch comes to do it."""
        if self._outstanding.confirmed:
            self._outstanding.marked(await self._persist(self._mark))

    async def _mark(self, transaction: Transaction) -> Sequence[UUID]:
        published = self._outstanding.confirmed
        await transaction.save(Changes(at=self._mint().now, published=published))
        return published

    async def _persist(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run the work in a transaction until one commits.

        After a commit whose answer was lost, the work runs again like any other: its first step finds the stored
        outcomes, and a command that is stored is answered from there.
        """
        waits = pauses(first_s=self._patience.first_s, longest_s=self._patience.longest_s)
        conflicts = 0
        while True:
            try:
                return await self._store.transact(work)
            except StoreConflict as conflict:
                conflicts += 1
                if conflicts <= CONFLICTS_AT_ONCE_MAX:
                    log.info("batch.conflict", extra={"reason": str(conflict), "conflicts": conflicts})
                    continue
                log.warning("batch.conflicts_go_on", extra={"reason": str(conflict), "conflicts": conflicts})
            except (StoreUnavailable, CommitUnknown) as away:
                log.warning("database.unavailable", extra={"reason": str(away)})
            await asyncio.sleep(next(waits))

    def _said(
        self, incoming: Sequence[Incoming], *, answers: Sequence[Answer], events: Sequence[StoredEvent]
    ) -> Said:
        replies: list[Reply] = []
        letters: list[DeadLetter] = []
        by_command = iter(answers)
        for message in incoming:
            match message:
                case Received():
                    self._reply(replies, message, next(by_command))
                case Refused():
                    self._reply(replies, message, message.answer)
                    letters.extend(_kept(message))
                case _:
                    letters.append(_unreadable(message))
        return Said(
            events=events, replies=replies, letters=letters, deliveries=[message.delivery for message in incoming]
        )

    def _reply(self, replies: list[Reply], message: Received | Refused, answer: Answer) -> None:
        if message.reply_to is None:
            if answer.problem is not None:
                log.info("command.refused_unasked", extra={"code": answer.problem})
            return
        message_id = self._renderer.reply_id(message.key, answer)
        replies.append(Reply(to=message.reply_to, message_id=message_id, answer=answer))


def _unreadable(message: Unreadable) -> DeadLetter:
    return DeadLetter(delivery=message.delivery, reason=message.reason, detail=message.detail)


def _kept(message: Refused) -> list[DeadLetter]:
    """A refusal that nobody hears is kept where an operator can find it, if it is of that kind."""
    if message.reply_to is not None or not message.keep or message.answer.problem is None:
        return []
    return [DeadLetter(delivery=message.delivery, reason=message.answer.problem, detail=message.detail)]
