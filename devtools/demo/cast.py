"""Who plays: fifty devices by a seed, most of them sound, some that repeat themselves, are confused or hostile."""

import random
from collections.abc import Callable, Sequence
from typing import Final

from devtools.demo.acts import Part
from devtools.demo.pen import Pen
from devtools.demo.vandal import vandal

RUSH: Final = 0.42
"""The moment of the demo at which most devices want something at once, and the worker is killed."""

_SOUND, _REPEATING, _CONFUSED, _HOSTILE, _MORTAL = 32, 10, 5, 2, 1
DEVICES: Final = _SOUND + _REPEATING + _CONFUSED + _HOSTILE + _MORTAL

_KINDS: Final = ("cam", "door", "drone", "buoy", "bike")
_ENTRIES_UNTIL, _LAST = 0.34, 0.95
_CROWDED: Final = 0.01
_BACK_AGAIN: Final = 0.6


def cast(seed: int) -> Sequence[Part]:
    """Return all parts; the same seed gives the same ones."""
    chance = random.Random(seed)  # noqa: S311 - to be the same again, not to be secret
    roles: list[Callable[[str, random.Random], Part]] = [
        *[_sound] * _SOUND,
        *[_repeating] * _REPEATING,
        *[_confused] * _CONFUSED,
        *[vandal] * _HOSTILE,
        *[_mortal] * _MORTAL,
    ]
    numbers = iter(chance.sample(range(1, 100), DEVICES))
    parts = [
        play(f"{chance.choice(_KINDS)}-{number:02}", chance) for play, number in zip(roles, numbers, strict=True)
    ]
    chance.shuffle(parts)
    return parts


def _sound(device_id: str, chance: random.Random) -> Part:
    """Come, stream, go, and come again."""
    pen = Pen(device_id)
    for at in _moments(chance, chance.randint(3, 8)):
        _next(pen, chance, at)
    return Part(device_id=device_id, acts=pen.acts)


def _repeating(device_id: str, chance: random.Random) -> Part:
    """Say some things twice: in one breath, or later, as a device does that is not sure of its network."""
    pen = Pen(device_id)
    for at in _moments(chance, chance.randint(3, 5)):
        if chance.random() < 0.5:  # noqa: PLR2004 - one in two
            _next(pen, chance, at, times=2)
        else:
            _next(pen, chance, at)
            pen.same_again(at + 0.02)
    return Part(device_id=device_id, acts=pen.acts)


def _confused(device_id: str, chance: random.Random) -> Part:
    """Do the right things in the wrong order."""
    pen = Pen(device_id)
    blunders: list[Callable[[float], None]] = [
        lambda at: pen.stop(at, telling="stops what it never began"),
        pen.create,
        lambda at: pen.create(at, telling="forgot its stream, begins"),
        pen.same_name,
        pen.stop,
        lambda at: pen.stop(at, telling="stops twice"),
    ]
    for at, blunder in zip(_moments(chance, len(blunders)), blunders, strict=True):
        blunder(at)
    return Part(device_id=device_id, acts=pen.acts)


def _mortal(device_id: str, chance: random.Random) -> Part:
    """Die between a command and its answer."""
    pen = Pen(device_id)
    pen.create(chance.uniform(0, _ENTRIES_UNTIL))
    pen.stop(RUSH - 0.02)
    pen.vanish(RUSH)
    pen.get(_BACK_AGAIN)
    pen.stop(_LAST)
    return Part(device_id=device_id, acts=pen.acts)


def _moments(chance: random.Random, count: int) -> Sequence[float]:
    """So many, in order: an entry, most of the rest anywhere, and one in the rush."""
    entry = chance.uniform(0, _ENTRIES_UNTIL)
    return sorted(
        [entry, RUSH + chance.uniform(0, _CROWDED), *(chance.uniform(entry, _LAST) for _ in range(count - 2))]
    )


def _next(pen: Pen, chance: random.Random, at: float, *, times: int = 1) -> None:
    """What a sound device does next."""
    if not pen.is_active:
        pen.create(at, times=times)
    elif chance.random() < 0.3:  # noqa: PLR2004 - three in ten
        pen.get(at, times=times)
    else:
        pen.stop(at, times=times)
