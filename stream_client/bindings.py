"""Which events a subscription gets: binding keys of the events' topic exchange."""

from collections.abc import Collection
from typing import Final

from schemas import DEVICE_ID_LOOKS, AnyEvent, EventName, is_device_id

KEYS_MAX: Final = 1_000
"""Each is declared, one after the other, at every new connection."""


class Filter:
    """Chooses events of some devices or all, of some types or all.

    Raises ValueError for a wrong device id, an unknown type, or more than 1,000 binding keys.
    """

    def __init__(self, *, devices: Collection[str], types: Collection[EventName | str]) -> None:
        if isinstance(devices, str) or isinstance(types, str):
            raise ValueError("devices and types are lists, of one too")  # noqa: TRY004 - a text is a collection of texts too
        if not all(map(is_device_id, devices)):
            raise ValueError(f"not a device id, which is {DEVICE_ID_LOOKS}")
        self._devices = frozenset(devices)
        self._types = frozenset(map(_event_name, types))
        if len(self._devices or "#") * len(self._types or "#") > KEYS_MAX:
            raise ValueError(f"more than {KEYS_MAX} binding keys; subscribe to all, and choose yourself")

    @property
    def is_partial(self) -> bool:
        """Whether a device's events come with gaps where nothing is wrong."""
        return bool(self._types)

    @property
    def keys(self) -> list[str]:
        """The binding keys. Events are routed by `<event type>.<device id>`, and a type is `stream.` and one word,
        those to come too (ADR 20): a device comes with all of its events. Its id may hold dots; it then is
        several words, which a key that spells them matches exactly. It can hold no wildcard.
        """
        if not self._devices:
            return [f"{name}.#" for name in sorted(self._types)] or ["#"]
        names: list[str] = [*sorted(self._types)] or ["stream.*"]
        return [f"{name}.{device}" for name in names for device in sorted(self._devices)]

    def takes(self, event: AnyEvent) -> bool:
        """Whether the broker would, by these keys: for a queue that has all events."""
        of_device = not self._devices or event.stream.device_id in self._devices
        return of_device and (not self._types or event.type in self._types)


def _event_name(event: EventName | str) -> EventName:
    try:
        return EventName(event)
    except ValueError as error:
        raise ValueError(f"not a type of event; there are {', '.join(EventName)}") from error
