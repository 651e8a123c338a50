"""Tells repeats by an event's id, and gaps by its sequence."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from schemas import AnyEvent

IDS_MAX: Final = 50_000
"""About 10 MB. A worker that starts again repeats what it had under way, hundreds of events; a subscription whose
connection was lost, those that it was sent and has not acknowledged, tens.
"""

DEVICES_MAX: Final = 100_000
"""About 20 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Events of one device that were missed: those with the sequences `first` to `last`, both included."""

    device_id: str
    first: int
    last: int


class Sequencer:
    """Remembers the ids of the latest `ids_max` events, and the highest sequence of each of the latest
    `devices_max` devices.

    What the limits cost: an event that is repeated after so many others counts as new, and what was missed of a
    device that was silent while so many others spoke is not told. It is the id that makes a repeat, not the
    sequence: what comes late was not seen yet, and must not be lost.
    """

    def __init__(self, *, ids_max: int = IDS_MAX, devices_max: int = DEVICES_MAX) -> None:
        self._ids_max = ids_max
        self._devices_max = devices_max
        self._ids: OrderedDict[UUID, None] = OrderedDict()
        self._last: OrderedDict[str, int] = OrderedDict()

    def is_repeat(self, event: AnyEvent) -> bool:
        """Whether it was noted before."""
        return event.id in self._ids

    def gap_before(self, event: AnyEvent) -> Gap | None:
        """Return what was missed of its device. Of one that it has not seen it does not know."""
        device_id = event.stream.device_id
        last = self._last.get(device_id)
        if last is None or event.number <= last + 1:
            return None
        return Gap(device_id=device_id, first=last + 1, last=event.number - 1)

    def note(self, event: AnyEvent) -> None:
        """Remember it."""
        device_id = event.stream.device_id
        self._last[device_id] = max(event.number, self._last.get(device_id, 0))
        self._last.move_to_end(device_id)
        if len(self._last) > self._devices_max:
            self._last.popitem(last=False)
        self._ids[event.id] = None
        if len(self._ids) > self._ids_max:
            self._ids.popitem(last=False)
