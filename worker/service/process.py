"""The pipeline of one epoch: take, carry out, say, settle.

Two tasks share the work, so that the next batch is decided and committed while this one is being confirmed. A
queue of one batch stands between them: publishing stays in order, and memory stays bounded.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from worker.service.caution import Caution
from worker.service.housekeeping import Housekeeping
from worker.service.isolating import Isolating
from worker.service.messages import Incoming, Said
from worker.service.ports import EpochOver, Inbox, InboxClosed, Settlement, StoreConflict
from worker.service.say import Refusals, Speaker, say_refused
from worker.service.unheard import PAUSES_S, Unheard

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The numbers of the pipeline. `idle_s`: how long without a delivery until published events are marked;
    `reply_pauses_s`: how long before each further try of a refused reply; `held_max`: deliveries that may wait for
    that, which must be few of those in hand.
    """

    batch_max: int = 256
    idle_s: float = 0.2
    reply_pauses_s: Sequence[float] = PAUSES_S
    held_max: int = 64


class Pipeline:
    """Runs one epoch from the first delivery to the last settlement."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        isolating: Isolating,
        housekeeping: Housekeeping,
        speaker: Speaker,
        settlement: Settlement,
        caution: Caution,
        flow: Flow,
    ) -> None:
        self._inbox = inbox
        self._isolating = isolating
        self._housekeeping = housekeeping
        self._speaker = speaker
        self._settlement = settlement
        self._caution = caution
        self._flow = flow
        self._unheard = Unheard(pauses_s=flow.reply_pauses_s, held_max=flow.held_max)
        self._decided: asyncio.Queue[Said | None] = asyncio.Queue(maxsize=1)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set and everything in hand is settled.

        Raises EpochOver where the broker or the certainty about it is gone; whatever else it raises is a defect.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                aside = [
                    tasks.create_task(self._close_when(stopping), name="pipeline.close"),
                    tasks.create_task(self._inbox.watch(), name="pipeline.watch"),
                ]
                deciding = tasks.create_task(self._decide(), name="pipeline.decide")
                saying = tasks.create_task(self._say(), name="pipeline.say")
                await asyncio.wait([deciding, saying])
                for task in aside:
                    task.cancel()
        except BaseExceptionGroup as group:
            over, defects = group.split(EpochOver)
            if over is None or defects is not None:
                raise
            raise EpochOver(str(_first(over))) from group
        # Nothing is in hand any more; what was confirmed last is marked, so that nobody says it again.
        with contextlib.suppress(InboxClosed, StoreConflict):  # then it is said again, which is no harm
            await self._housekeeping.idle()

    async def _close_when(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        await self._inbox.close()

    async def _decide(self) -> None:
        try:
            await self._begin()
            while True:
                await self._decide_next()
        except StoreConflict as conflict:  # outside of a batch: no command is to blame
            raise EpochOver("somebody else's changes kept ours from being saved again and again") from conflict
        except InboxClosed:
            await self._put(await self._isolating.finish())
            await self._decided.put(None)

    async def _begin(self) -> None:
        """Take nothing before the database has answered and what was left unpublished has been said: an epoch that
        does not come so far must not cost any message a delivery count.
        """
        await self._speaker.say(await self._housekeeping.begin())  # the other task has nothing to say yet
        await self._inbox.start()

    async def _decide_next(self) -> None:
        await self._put(await self._housekeeping.do_what_is_due())
        await self._put(await self._isolating.try_again())
        incoming = await self._inbox.take(self._flow.batch_max, within_s=self._flow.idle_s)
        await (self._carry_out(incoming) if incoming else self._housekeeping.idle())

    async def _carry_out(self, incoming: Sequence[Incoming]) -> None:
        await self._put(await self._isolating.carry_out(incoming))

    async def _put(self, saids: Sequence[Said]) -> None:
        for said in saids:
            await self._decided.put(said)

    async def _say(self) -> None:
        while (said := await self._next()) is not None:
            said = self._unheard.with_what_is_due(said)
            refusals = await self._speaker.say(said)
            is_wide = self._caution.lets_widen(said.deliveries) and await self._inbox.widen()
            await self._settle(said, refusals, may_hold=is_wide)

    async def _next(self) -> Said | None:
        """Return what was decided next, or nothing to say where something is to be said again before that."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._unheard.next_in_s):
                return await self._decided.get()
        return Said()

    async def _settle(self, said: Said, refusals: Refusals, *, may_hold: bool) -> None:
        """Acknowledge what is said. What carries a refused dead letter is not: the broker gets it back; nor what
        waits for its reply's next try. While the inbox is narrow nothing waits, for everybody would wait with it.
        """
        kept_open = {letter.delivery.tag for letter in refusals.letters}
        kept_twice = {letter.delivery.tag for letter in said.letters}  # its letter would stay, and it come again
        for reply in refusals.replies:
            tag = reply.delivery.tag
            if may_hold and tag not in kept_twice and self._unheard.takes(reply):
                kept_open.add(tag)
            else:
                say_refused(reply)
        await self._settlement.acknowledge([d for d in said.deliveries if d.tag not in kept_open])
        await self._settlement.give_to_broker(refusals.letters)


def _first(group: BaseExceptionGroup[EpochOver]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
