"""A worker whose clock is an hour off, beside others whose are not."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tests.faults.deaths_of_the_worker import RELAYED
from tests.faults.failpoints import Action, Point
from tests.faults.full_queue import full_queue
from tests.faults.trial import Fault
from tests.faults.world import SETUPS, Setup, World
from tests.support.wire import eventually

GROUP: Final = "worker"

OFF_S: Final = 3_600.0
ANSWERS: Final = 60
ANSWERED_WITHIN_S: Final = 90.0


async def _works(world: World) -> None:
    await world.answered(ANSWERS)


async def _relays_and_dies(world: World) -> None:
    """What it has claimed is its for an hour more, by everybody else's clock: by that of its next life, too. No
    command comes any more that would have a batch publish the rest.
    """
    async with full_queue(world):
        await world.crashed()
        await eventually(_all_is_answered(world), within_s=ANSWERED_WITHIN_S)


def _all_is_answered(world: World) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return world.crowd.has_heard_all

    return look


def _off(words: str, off_s: float, *, relaying: Sequence[Setup]) -> Sequence[Fault]:
    return [
        Fault(group=GROUP, name=f"clock {words}", act=_works, clock_off_s=off_s),
        Fault(
            group=GROUP,
            name=f"clock {words}, killed relay claimed",
            act=_relays_and_dies,
            setups=relaying,
            clock_off_s=off_s,
            failpoint=f"{Point.RELAY_CLAIMED}:{Action.KILL}:1",
            settings=RELAYED,
        ),
    ]


FAULTS: Final[Sequence[Fault]] = [
    *_off("an hour ahead", OFF_S, relaying=SETUPS),
    # Beside others it relays nothing: by its clock all that they have claimed is theirs for an hour more.
    *_off("an hour behind", -OFF_S, relaying=[setup for setup in SETUPS if setup.workers == 1]),
]
