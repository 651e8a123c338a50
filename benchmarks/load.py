"""What is asked in a measurement: commands by a seed, in an order that is known. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

CREATE: Final = "stream.create"
STOP: Final = "stream.stop"
GET: Final = "stream.get"

_SHARES: Final = {CREATE: 0.5, STOP: 0.3, GET: 0.2}
_REPEATED: Final = 0.02
_EACH: Final = 10  # commands of one device, on average: as many for a slow system as for a fast one


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of a device that is known by its id only. A repeat has the message id of the one before it."""

    kind: str
    device_id: str
    message_id: str

    @property
    def body(self) -> bytes:
        """The body as a device would send it."""
        return json.dumps({"device_id": self.device_id}).encode()


def commands(count: int, *, seed: str) -> Sequence[Command]:
    """Return so many: 50 % create, 30 % stop, 20 % get; one in fifty is sent twice, as by a device in doubt."""
    rng = Random(seed)
    # Random names: their keys fall between those of a database that is full already.
    devices = [f"cam-{rng.getrandbits(48):012x}" for _ in range(max(1, count // _EACH))]
    made: list[Command] = []
    while len(made) < count:
        if made and rng.random() < _REPEATED:
            made.append(made[-1])
            continue
        (kind,) = rng.choices(list(_SHARES), list(_SHARES.values()))
        made.append(Command(kind=kind, device_id=rng.choice(devices), message_id=f"{rng.getrandbits(128):032x}"))
    return made
