"""The events that are saved but not yet known to be published and marked, as one epoch sees them.

It keeps three promises: no event goes out twice in an epoch unless it was refused; a device's events go out in
the order of their sequence; and what is confirmed is marked with the next transaction. It dies with its epoch:
the next one reads from the database what is unpublished.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from worker.service.messages import StoredEvent


class Outstanding:
    """A book of events. An event is claimed by one batch at a time, and ends confirmed or released."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, bool]] = {}  # device id -> sequence -> is it claimed?
        self._confirmed: dict[UUID, None] = {}

    def claim(self, events: Iterable[StoredEvent], *, complete_for: Collection[str]) -> list[StoredEvent]:
        """Return those of the unpublished events that are the caller's to publish now, each device's in order.

        `complete_for` names the devices of which every unpublished event is given. What this epoch once had to
        leave unpublished and is not among them any more, another worker has published.
        """
        by_device: dict[str, dict[int, StoredEvent]] = {device_id: {} for device_id in complete_for}
        for event in events:
            if event.id not in self._confirmed:
                by_device.setdefault(event.device_id, {})[event.sequence] = event
        return [
            event for device_id in sorted(by_device) for event in self._claim_of(device_id, by_device[device_id])
        ]

    def _claim_of(self, device_id: str, unpublished: dict[int, StoredEvent]) -> list[StoredEvent]:
        waiting = self._waiting.get(device_id, {})
        lowest = min(unpublished, default=None)
        for sequence in [s for s, claimed in waiting.items() if not claimed]:
            if lowest is None or sequence < lowest:
                del waiting[sequence]
        mine = [unpublished[s] for s in sorted(unpublished) if not waiting.get(s, False)]
        waiting.update((event.sequence, True) for event in mine)
        self._keep(device_id, waiting)
        return mine

    def _keep(self, device_id: str, waiting: dict[int, bool]) -> None:
        if waiting:
            self._waiting[device_id] = waiting
        else:
            self._waiting.pop(device_id, None)

    def may_go(self, event: StoredEvent) -> bool:
        """Whether every lower event of the device is published, so far as this epoch knows."""
        return min(self._waiting[event.device_id]) == event.sequence

    def confirm(self, event: StoredEvent) -> None:
        """The broker has it: the next one may go, and this one waits to be marked."""
        waiting = self._waiting[event.device_id]
        del waiting[event.sequence]
        self._keep(event.device_id, waiting)
        self._confirmed[event.id] = None

    def release(self, event: StoredEvent) -> None:
        """The broker will not have it: whoever claims it next tries again, and later ones wait for it."""
        self._waiting[event.device_id][event.sequence] = False

    @property
    def confirmed(self) -> Sequence[UUID]:
        """The events that are published and not yet marked so in the database."""
        return list(self._confirmed)

    def marked(self, event_ids: Iterable[UUID]) -> None:
        """The database knows that these are published."""
        for event_id in event_ids:
            self._confirmed.pop(event_id, None)
