"""Tells repeats and gaps from an event's sequence."""

from collections import OrderedDict
from dataclasses import dataclass

from schemas import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an event is after those before it: new or a repeat, and how many of the device's were missed before."""

    is_new: bool
    missed: int = 0


class Sequencer:
    """Remembers the last sequence of each device, of the latest `devices_max` devices.

    Events are published at least once, and a device's first appear in order: one that is not above the last is a
    repeat. Of a device that it has not seen it does not know what was missed. For a subscription to all types:
    one that takes a part sees gaps where nothing is wrong.
    """

    def __init__(self, *, devices_max: int = 100_000) -> None:
        self._devices_max = devices_max
        self._last: OrderedDict[str, int] = OrderedDict()

    def note(self, event: Event) -> Step:
        """Return what this event is, and remember it."""
        device_id, number = event.stream.device_id, event.number
        last = self._last.get(device_id)
        if last is not None and number <= last:
            return Step(is_new=False)
        self._last[device_id] = number
        self._last.move_to_end(device_id)
        if len(self._last) > self._devices_max:
            self._last.popitem(last=False)
        return Step(is_new=True, missed=0 if last is None else number - last - 1)
