"""What each command comes to if they are carried out one after another, in the order they were sent. Pure."""

from collections.abc import Sequence
from typing import Final

from benchmarks.load import CREATE, STOP, Command

EFFECTS: Final = frozenset({"created", "stopped"})


def expected(commands: Sequence[Command]) -> Sequence[str]:
    """Return for each command the word of its reply: an outcome, or `not_found`."""
    is_active: dict[str, bool] = {}
    said: dict[str, str] = {}
    words: list[str] = []
    for command in commands:
        if command.message_id not in said:
            said[command.message_id] = _carried_out(command, is_active)
        words.append(said[command.message_id])
    return words


def events_of(commands: Sequence[Command]) -> int:
    """Return how many events they make."""
    words = {command.message_id: word for command, word in zip(commands, expected(commands), strict=True)}
    return sum(word in EFFECTS for word in words.values())


def _carried_out(command: Command, is_active: dict[str, bool]) -> str:
    was_active = is_active.get(command.device_id)
    match command.kind:
        case str(kind) if kind == CREATE:
            is_active[command.device_id] = True
            return "reused" if was_active else "created"
        case str(kind) if kind == STOP and was_active is not None:
            is_active[command.device_id] = False
            return "stopped" if was_active else "already_stopped"
        case _:
            return "not_found" if was_active is None else "found"
