"""What a device does: its part in the demo, act by act."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A command with an answer to come, which has to be `expects`: an outcome, or the code of a problem.

    It is sent so many `times` at once, under one message id. `at` is a moment of the demo, from 0 to 1, before
    which it does not begin. `telling` is what people are told that the device does, where that is worth a line.
    """

    at: float
    command: str
    body: str
    message_id: str
    expects: str
    times: int = 1
    telling: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanish:
    """The same, but the device loses its connection before there is an answer, while the worker is away. It comes
    back when the worker is back, and asks the same again.
    """

    ask: Ask

    @property
    def at(self) -> float:
        """When it begins."""
        return self.ask.at


class Spoilt(Enum):
    """What is wrong with a message that gets no answer."""

    JSON = "broken JSON"
    PROPERTIES = "raw poison"
    ADDRESS = "a forged reply address"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throw:
    """A message that cannot be answered. It has to end in the dead letters, for the reason `expects`.

    No other has the same `body`.
    """

    at: float
    spoilt: Spoilt
    body: bytes
    expects: str


Act = Ask | Vanish | Throw


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One device, and what it does, in order."""

    device_id: str
    acts: Sequence[Act]
    is_hostile: bool = False
