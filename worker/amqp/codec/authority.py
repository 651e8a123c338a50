"""Who may do what. A sender is known by the AMQP property `user_id`, which the broker checks."""

from collections.abc import Collection
from typing import Final

from pamqp.commands import Basic

from worker.domain.commands import ByCode, ByDevice, Command, CreateStream, GetStream

# With either the broker delivers to routing keys that topic permissions have not seen (RabbitMQ before 4.0).
_DETOURS: Final = ("CC", "BCC")


class Authority:
    """Decides for one message. Where not `per_device`, everybody may do everything; else a device may act for
    itself, an operator for every device, and a code shows its stream to whoever has it. Pure.
    """

    def __init__(self, *, per_device: bool, operators: Collection[str]) -> None:
        self._per_device = per_device
        self._operators = frozenset(operators)

    def objection(self, properties: Basic.Properties, command: Command) -> str | None:
        """Return why the sender may not ask this, in a sentence for the sender; None where it may."""
        if not self._per_device:
            return None
        if not properties.user_id:
            return "A sender is required: set the AMQP property user_id to the user you are logged in as."
        if any(name in (properties.headers or {}) for name in _DETOURS):
            return "The headers CC and BCC are not allowed on a command."
        device_id = _device_named(command)
        if device_id is None or self._is_for_all(properties.user_id) or device_id == properties.user_id:
            return None
        return f"This sender may not act for the device {device_id}."

    def only_for(self, sender: str, command: Command) -> str | None:
        """Return the only device whose streams the sender may name by id, or stop by code; None for any.

        Whether the stream is that device's only the database knows: another's is answered there, as one that is
        not there.
        """
        if not self._per_device or self._is_for_all(sender) or _shows_to_all(command):
            return None
        return sender

    def _is_for_all(self, sender: str) -> bool:
        return sender in self._operators


def _device_named(command: Command) -> str | None:
    if isinstance(command, CreateStream):
        return command.device_id
    return command.selector.device_id if isinstance(command.selector, ByDevice) else None


def _shows_to_all(command: Command) -> bool:
    """Sharing a stream is what a code is for."""
    return isinstance(command, GetStream) and isinstance(command.selector, ByCode)
