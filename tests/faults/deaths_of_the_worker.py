"""A worker that is killed, frozen, delayed or broken at a named instant, or killed at any."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from tests.faults.failpoints import DELAY_S, Action, Point
from tests.faults.full_queue import full_queue
from tests.faults.trial import Fault
from tests.faults.world import Act, World

GROUP: Final = "worker"

FROZEN_S: Final = 8.0  # two heartbeats and what a broker takes to be sure; a lock's patience too
RANDOM_KILLS: Final = 8
BETWEEN_KILLS_S: Final = (0.5, 3.0)
LONG_COMMANDS: Final = 600

# The full queue must not park what it holds up: nobody waits an hour here.
RELAYED: Final = {"STREAMS_PARK_AFTER": "1000"}


async def _works(_world: World) -> None:
    """Batches come by themselves."""


async def _relays(world: World) -> None:
    """Have events left to the relay; it claims them while they are refused still. Whose relay looks first has them
    all: until it is the one that is watched, the others are frozen.
    """
    async with full_queue(world):
        _signal_others(world, signal.SIGSTOP)
        try:
            await world.hit()
        finally:
            _signal_others(world, signal.SIGCONT)


async def _relays_in_the_end(world: World) -> None:
    """Have events left to the relay until no command comes any more with which a batch would say them."""
    async with full_queue(world) as refused:
        await refused()
        await world.answered(sys.maxsize)


def _signal_others(world: World, number: signal.Signals) -> None:
    for keeper in world.keepers[1:]:
        keeper.worker.signal(number)


async def _drains(world: World) -> None:
    await world.keeper.ready()
    world.keeper.worker.signal(signal.SIGTERM)


async def _reconnects(world: World) -> None:
    world.amqp.cut()


_PROVOKED_BY: Final[Mapping[Point, Act]] = {
    Point.RELAY_CLAIMED: _relays,
    Point.RELAY_PUBLISHED: _relays_in_the_end,
    Point.IN_DRAIN: _drains,
    Point.IN_RECONNECT: _reconnects,
}
_NTH: Final = 5  # of the instants that every batch passes; the others come seldom


async def kill_at_random(world: World) -> None:
    """Kill one worker after another, whatever it does."""
    rng = Random(world.seed)
    for _ in range(RANDOM_KILLS):
        await asyncio.sleep(rng.uniform(*BETWEEN_KILLS_S))
        keeper = rng.choice(world.keepers)
        if keeper.worker.is_running:
            keeper.worker.process.kill()


def _at(point: Point, action: Action, then: Act, *, word: str, is_short: bool = False) -> Fault:
    provoke = _PROVOKED_BY.get(point, _works)

    async def act(world: World) -> None:
        await provoke(world)
        await world.hit()
        await then(world)

    return Fault(
        group=GROUP,
        name=f"{word} {point.replace('_', ' ')}",
        act=act,
        failpoint=f"{point}:{action}:{1 if point in _PROVOKED_BY else _NTH}",
        settings=RELAYED if point in {Point.RELAY_CLAIMED, Point.RELAY_PUBLISHED} else {},
        is_short=is_short,
    )


async def _is_dead(world: World) -> None:
    await world.crashed()


async def _thaws(world: World) -> None:
    """Wait until everybody takes it for dead, and wake it: it has not heard of that."""
    await asyncio.sleep(FROZEN_S)
    world.keeper.worker.signal(signal.SIGCONT)


async def _goes_on(_world: World) -> None:
    await asyncio.sleep(DELAY_S)


KILLED: Final = [
    _at(
        point,
        Action.KILL,
        _is_dead,
        word="killed",
        is_short=point in {Point.IN_COMMIT, Point.AFTER_COMMIT, Point.AFTER_HALF_CONFIRMS, Point.AFTER_MARK},
    )
    for point in Point
]
FROZEN: Final = [
    _at(point, Action.STOP, _thaws, word="frozen")
    for point in (
        Point.TX_BEGUN,
        Point.AFTER_COMMIT,
        Point.BEFORE_CONFIRM,
        Point.AFTER_CONFIRMS,
        Point.RELAY_CLAIMED,
    )
]
DELAYED: Final = [
    _at(point, Action.DELAY, _goes_on, word="delayed") for point in (Point.BEFORE_COMMIT, Point.AFTER_CONFIRMS)
]
BROKEN: Final = [
    _at(point, Action.RAISE, _works, word="a defect")
    for point in (Point.TX_BEGUN, Point.AFTER_COMMIT, Point.AFTER_CONFIRMS, Point.AFTER_ACK)
]
AT_RANDOM: Final = Fault(group=GROUP, name="killed at random", act=kill_at_random, commands=LONG_COMMANDS)

FAULTS: Final[Sequence[Fault]] = [*KILLED, *FROZEN, *DELAYED, *BROKEN, AT_RANDOM]
