"""Which events a subscription gets: binding keys of the events' topic exchange."""

from schemas import DEVICE_ID_LOOKS, EventName, is_device_id


def binding_key(*, device: str | None, event: EventName | str | None) -> str:
    """Return the binding key for one device or all, one type of event or all.

    Events are routed by `<event type>.<device id>`. A device id may hold dots; it then is several words, which a
    key that spells them matches exactly. It can hold no wildcard.
    Raises ValueError for a wrong device id or an unknown type.
    """
    if device is not None and not is_device_id(device):
        raise ValueError(f"not a device id, which is {DEVICE_ID_LOOKS}")
    name = None if event is None else _event_name(event)
    match name, device:
        case None, None:
            return "#"
        case None, _:
            return f"stream.*.{device}"
        case _, None:
            return f"{name}.#"
        case _:
            return f"{name}.{device}"


def _event_name(event: EventName | str) -> EventName:
    try:
        return EventName(event)
    except ValueError as error:
        raise ValueError(f"not a type of event; there are {', '.join(EventName)}") from error
