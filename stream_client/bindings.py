"""Which events a subscription gets: binding keys of the events' topic exchange."""

import re
from typing import Final

from schemas import DEVICE_ID_PATTERN, EventName

_DEVICE_ID: Final = re.compile(DEVICE_ID_PATTERN.removeprefix("^").removesuffix("$"))


def binding_key(*, device: str | None, event: EventName | str | None) -> str:
    """Return the binding key for one device or all, one type of event or all.

    Events are routed by `<event type>.<device id>`. A device id may hold dots; it then is several words, which a
    key that spells them matches exactly. It can hold no wildcard.
    Raises ValueError for a wrong device id or an unknown type.
    """
    if device is not None and not _DEVICE_ID.fullmatch(device):
        raise ValueError("not a device id")
    name = None if event is None else EventName(event)
    match name, device:
        case None, None:
            return "#"
        case None, _:
            return f"stream.*.{device}"
        case _, None:
            return f"{name}.#"
        case _:
            return f"{name}.{device}"
