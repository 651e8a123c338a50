"""A batch's second half: said. Events, replies and dead letters go out with many confirms in flight."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.service.messages import Confirmation, DeadLetter, Outgoing, Reply, Said, StoredEvent
from worker.service.outstanding import Outstanding
from worker.service.ports import EpochOver, Publisher

log = logging.getLogger(__name__)

RETRY_PAUSE_S: Final = 0.05  # long enough for a full queue to take one, short enough for the others to wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What the broker refused of a batch, and may take another time."""

    letters: list[DeadLetter] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)


class Waves:
    """The events of a batch, a queue a device. A wave takes the first of each that may go."""

    def __init__(self, events: Iterable[StoredEvent], *, outstanding: Outstanding, retries: int) -> None:
        self._queues: dict[str, deque[StoredEvent]] = {}
        for event in events:
            self._queues.setdefault(event.device_id, deque()).append(event)
        self._outstanding = outstanding
        self._retries = retries
        self._refusals: dict[str, int] = {}

    def next(self) -> list[StoredEvent]:
        """Return the next event of every device; leave the devices that wait for an event we do not have."""
        for queue in [q for q in self._queues.values() if not self._outstanding.may_go(q[0])]:
            self._leave(queue)
        return [queue[0] for queue in self._queues.values()]

    def confirmed(self, event: StoredEvent) -> None:
        """The event is out: the device's next one may go with the next wave."""
        queue = self._queues[event.device_id]
        queue.popleft()
        self._outstanding.confirm(event)
        self._refusals.pop(event.device_id, None)
        if not queue:
            del self._queues[event.device_id]

    def refused(self, event: StoredEvent) -> None:
        """The event was refused: again with the next wave, or, after some times, left to the relay."""
        refusals = self._refusals[event.device_id] = self._refusals.get(event.device_id, 0) + 1
        # A device that was in trouble before is tried once: nobody else should wait for it every time.
        retries = 0 if self._outstanding.is_troubled(event.device_id) else self._retries
        if refusals > retries:
            self._outstanding.refuse(event)
            log.warning(
                "event.left_to_relay",
                extra={"device_id": event.device_id, "sequence": event.sequence, "refusals": refusals},
            )
            self._leave(self._queues[event.device_id])

    def held_up(self, event: StoredEvent) -> None:
        """The event had no turn, and no fault: it is left to the relay."""
        self._leave(self._queues[event.device_id])

    def _leave(self, queue: deque[StoredEvent]) -> None:
        del self._queues[queue[0].device_id]
        for event in queue:
            self._outstanding.release(event)

    @property
    def only_retries(self) -> bool:
        """Whether every device that is left was refused at its last try."""
        return bool(self._queues) and all(device_id in self._refusals for device_id in self._queues)


class Speaker:
    """Says what batches have to say, one batch at a time, in order. Belongs to one task of one epoch."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        outstanding: Outstanding,
        event_retries: int,
        retry_pause_s: float = RETRY_PAUSE_S,
    ) -> None:
        self._publisher = publisher
        self._outstanding = outstanding
        self._event_retries = event_retries
        self._retry_pause_s = retry_pause_s

    async def say(self, said: Said) -> Refusals:
        """Publish until everything is confirmed or refused; return the refused replies and dead letters.

        A device's events go in waves: the next only after the one before is confirmed. Raises EpochOver where
        the fate of a message is unknown: then nothing of this batch may be settled.
        """
        waves = Waves(said.events, outstanding=self._outstanding, retries=self._event_retries)
        others: Sequence[Reply | DeadLetter] = [*said.replies, *said.letters]
        refusals = Refusals()
        while (wave := waves.next()) or others:
            messages: list[Outgoing] = [*wave, *others]
            others = ()
            confirmations = await self._publisher.publish(messages)
            for message, confirmation in zip(messages, confirmations, strict=True):
                if confirmation is Confirmation.UNKNOWN:
                    raise EpochOver("a publish was neither confirmed nor refused")
                _note(waves, refusals, message, confirmation)
            if waves.only_retries:
                await asyncio.sleep(self._retry_pause_s)
        return refusals


def _note(waves: Waves, refusals: Refusals, message: Outgoing, confirmation: Confirmation) -> None:
    match message, confirmation:
        case StoredEvent(), Confirmation.REFUSED | Confirmation.GIVEN_UP:
            waves.refused(message)
        case StoredEvent(), Confirmation.HELD_UP:
            waves.held_up(message)
        case StoredEvent(), _:
            waves.confirmed(message)
        case Reply(), Confirmation.REFUSED:
            refusals.replies.append(message)
        case Reply(), Confirmation.GIVEN_UP:
            say_refused(message)
        case DeadLetter(), Confirmation.REFUSED | Confirmation.GIVEN_UP:
            refusals.letters.append(message)
        case _:
            pass


def say_refused(reply: Reply) -> None:
    """Say that a reply will not be heard: its queue is full or gone. Asking again gets the stored answer."""
    log.info("reply.refused", extra={"reply_to": reply.to.address})
