"""The hostile device: what it sends, in the bytes that no honest client would write."""

import random
from collections.abc import Callable
from itertools import count
from typing import Final

from devtools.demo.acts import Part, Spoilt, Throw
from devtools.demo.pen import Pen
from schemas import BODY_BYTES_MAX, CommandName, ProblemCode

_FROM, _UNTIL = 0.12, 0.95
_ACTS: Final = 10
_REASONS: Final = {
    Spoilt.JSON: "malformed",
    Spoilt.PROPERTIES: "undecodable",
    Spoilt.ADDRESS: "reply_to_not_allowed",
}


def vandal(device_id: str, chance: random.Random) -> Part:
    """Throw what cannot be answered, and ask what has to be refused, in turns."""
    pen = Pen(device_id)
    numbers = count(1)

    def throw(at: float, spoilt: Spoilt) -> None:
        body = (
            f'{{"device_id": "{device_id}", "number": {next(numbers)}, '.encode()
        )  # cut off: broken, if it is JSON
        pen.acts.append(Throw(at=at, spoilt=spoilt, body=body, expects=_REASONS[spoilt]))

    too_long, much = "x" * (BODY_BYTES_MAX + 1_000), f"{BODY_BYTES_MAX // 1024 + 1} KiB"
    deeds: list[Callable[[float], None]] = [
        *(lambda at, spoilt=spoilt: throw(at, spoilt) for spoilt in Spoilt),
        lambda at: pen.odd(
            at,
            "stream.explode",
            {"device_id": device_id},
            ProblemCode.UNKNOWN_COMMAND,
            telling="invents a command",
        ),
        lambda at: pen.odd(
            at, CommandName.CREATE, {"device_id": too_long}, ProblemCode.TOO_LARGE, telling=f"sends {much}"
        ),
        lambda at: pen.odd(
            at, CommandName.STOP, {"code": ["7K3M9QXA"]}, ProblemCode.INVALID, telling="sends a list for a code"
        ),
    ]
    chance.shuffle(deeds)
    times = sorted(chance.uniform(_FROM, _UNTIL) for _ in range(_ACTS))
    for number, at in enumerate(times):
        deeds[number % len(deeds)](at)
    return Part(device_id=device_id, acts=pen.acts, is_hostile=True)
