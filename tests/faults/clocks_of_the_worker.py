"""A worker whose clock is an hour off, beside others whose are not."""

from collections.abc import Sequence
from typing import Final

from tests.faults.deaths_of_the_worker import RELAYED
from tests.faults.failpoints import Action, Point
from tests.faults.full_queue import full_queue
from tests.faults.trial import Fault
from tests.faults.world import World

GROUP: Final = "worker"

OFF_S: Final = 3_600.0
ANSWERS: Final = 60


async def _works(world: World) -> None:
    await world.answered(ANSWERS)


async def _relays_and_dies(world: World) -> None:
    """What it has claimed is its for an hour, by its clock."""
    async with full_queue(world):
        await world.crashed()


def _off(words: str, off_s: float) -> Sequence[Fault]:
    return [
        Fault(group=GROUP, name=f"clock {words}", act=_works, clock_off_s=off_s),
        Fault(
            group=GROUP,
            name=f"clock {words}, killed relay claimed",
            act=_relays_and_dies,
            clock_off_s=off_s,
            failpoint=f"{Point.RELAY_CLAIMED}:{Action.KILL}:1",
            settings=RELAYED,
        ),
    ]


FAULTS: Final[Sequence[Fault]] = [*_off("an hour ahead", OFF_S), *_off("an hour behind", -OFF_S)]
