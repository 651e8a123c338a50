"""The events that are saved but not yet known to be published and marked, as one epoch sees them.

It keeps three promises: no event goes out twice in an epoch unless it was refused; a device's events go out in
the order of their sequence; and what is confirmed is marked with the next transaction. It dies with its epoch:
the next one reads from the database what is unpublished.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from worker.service.messages import StoredEvent

TROUBLED_MAX: Final = 10_000


class Outstanding:
    """A book of events. An event is claimed by one batch at a time, and ends confirmed or released.

    It holds no more than what is in hand: of a device that no batch has claimed an event of, it knows nothing.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, bool]] = {}  # device id -> sequence -> is it claimed?
        self._confirmed: dict[UUID, StoredEvent] = {}
        self._refused: dict[str, int] = {}
        self._troubled: set[str] = set()

    def claim(self, events: Iterable[StoredEvent], *, cut: frozenset[str] = frozenset()) -> list[StoredEvent]:
        """Return those of the unpublished events that are the caller's to publish now, each device's in order.

        Of each device that has any in it, `events` begins with the lowest that the database has as unpublished.
        Of the devices in `cut` some may be missing in between: what comes behind one that is not in hand is left
        to the relay.
        """
        by_device: dict[str, dict[int, StoredEvent]] = {}
        for event in events:
            by_device.setdefault(event.device_id, {})[event.sequence] = event
        for device_id in cut & by_device.keys():
            by_device[device_id] = self._without_gap(device_id, by_device[device_id])
        return [
            event for device_id in sorted(by_device) for event in self._claim_of(device_id, by_device[device_id])
        ]

    def _without_gap(self, device_id: str, events: dict[int, StoredEvent]) -> dict[int, StoredEvent]:
        in_hand = {event.sequence for event in self._confirmed.values() if event.device_id == device_id}
        in_hand |= self._waiting.get(device_id, {}).keys() | events.keys()
        end = min(events)
        while end in in_hand:
            end += 1
        return {sequence: event for sequence, event in events.items() if sequence < end}

    def _claim_of(self, device_id: str, unpublished: dict[int, StoredEvent]) -> list[StoredEvent]:
        waiting = self._waiting.get(device_id, {})
        lowest = min(unpublished)  # as the database sees it, which does not know what is confirmed and not marked
        # What we had to leave unpublished and is not among them any more, another worker has published.
        for sequence in [s for s, claimed in waiting.items() if s < lowest and not claimed]:
            del waiting[sequence]
        mine = [
            event
            for sequence, event in sorted(unpublished.items())
            if event.id not in self._confirmed and not waiting.get(sequence)
        ]
        waiting.update((event.sequence, True) for event in mine)
        if waiting:
            self._waiting[device_id] = waiting
        else:
            self._waiting.pop(device_id, None)
        return mine

    def may_go(self, event: StoredEvent) -> bool:
        """Whether every lower event of the device is published, so far as this epoch knows."""
        return min(self._waiting[event.device_id]) == event.sequence

    def confirm(self, event: StoredEvent) -> None:
        """The broker has it: the next one may go, and this one waits to be marked."""
        del self._waiting[event.device_id][event.sequence]
        self._confirmed[event.id] = event
        self._troubled.discard(event.device_id)
        self._refused.pop(event.device_id, None)
        self._forget_unclaimed(event.device_id)

    def release(self, event: StoredEvent) -> None:
        """The broker will not have it: whoever claims it next tries again, and the later ones that are claimed
        already must not go before it.
        """
        self._waiting[event.device_id][event.sequence] = False
        self._forget_unclaimed(event.device_id)

    def refuse(self, event: StoredEvent) -> None:
        """The broker refused it in a whole round of tries: the database has to be told, and it is not tried so
        hard again.
        """
        self._refused[event.device_id] = event.sequence
        if len(self._troubled) >= TROUBLED_MAX:
            self._troubled.clear()  # then they cost a round of tries each; memory has a limit
        self._troubled.add(event.device_id)

    def is_troubled(self, device_id: str) -> bool:
        """Whether the device's next event was refused the last time."""
        return device_id in self._troubled

    def _forget_unclaimed(self, device_id: str) -> None:
        """Whoever claims an event of the device next is given the ones below it too."""
        if not any(self._waiting[device_id].values()):
            del self._waiting[device_id]

    @property
    def confirmed(self) -> Sequence[UUID]:
        """The events that are published and not yet marked so in the database."""
        return list(self._confirmed)

    def marked(self, event_ids: Iterable[UUID]) -> None:
        """The database knows that these are published."""
        for event_id in event_ids:
            self._confirmed.pop(event_id, None)

    @property
    def refused(self) -> Mapping[str, int]:
        """The devices whose next event was refused, and its sequence, as far as the database does not know it."""
        return dict(self._refused)

    def noted(self, refused: Mapping[str, int]) -> None:
        """The database knows that these were refused."""
        for device_id, sequence in refused.items():
            if self._refused.get(device_id) == sequence:
                del self._refused[device_id]
