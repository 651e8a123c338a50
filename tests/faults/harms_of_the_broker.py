"""What happens to a whole broker, or comes from it: gone, frozen, short of something, and of another mind."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from devtools.broker import PrivateBroker
from tests.faults import harms_of_postgresql as postgresql
from tests.faults import harms_of_sqlite as sqlite
from tests.faults.broker_operator import Operator
from tests.faults.world import Act, Database, World
from tests.support.wire import eventually

ALARM_S: Final = 6.0  # beyond the deadline of a confirm
TIMED_OUT_WITHIN_S: Final = 30.0  # the small timeout of a consumer, with its ticks
KILLS: Final = 3
NOTICED: Final = 10  # answers that come when all is well again


def server(*steps: Callable[[PrivateBroker], object], pause_s: float = 0.0) -> Act:
    """What happens to the whole node, one after the other. It blocks, and the proxies must go on."""

    async def act(world: World) -> None:
        for number, step in enumerate(steps):
            await asyncio.sleep(pause_s if number else 0)
            await asyncio.to_thread(step, world.servers.broker)
        world.mended()

    return act


async def killed_again(world: World) -> None:
    """Each time when what was in hand has just come back."""
    for _ in range(KILLS):
        await server(PrivateBroker.kill, PrivateBroker.start)(world)
        await world.answered(NOTICED)


async def connections_closed(world: World) -> None:
    await Operator(world).ctl("close_all_connections", "tested")


def alarm(raised: Sequence[str], lowered: Sequence[str], *, for_s: float = ALARM_S) -> Act:
    async def act(world: World) -> None:
        operator = Operator(world)
        await operator.ctl(*raised)
        try:
            await asyncio.sleep(for_s)
        finally:
            await operator.ctl(*lowered)

    return act


def told_consumers(erlang: str) -> Act:
    async def act(world: World) -> None:
        await Operator(world).tell_consumers(erlang)
        world.mended()
        await world.answered(NOTICED)

    return act


async def held_too_long(world: World) -> None:
    """The database keeps a command in hand for longer than the broker waits for its acknowledgement."""
    operator = Operator(world)
    for name, value in (("channel_tick_interval", 500), ("consumer_timeout", 1_000)):
        await operator.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")
    try:
        world.amqp.cut()  # channels of before know nothing of it
        await world.answered(NOTICED)
        async with _locked(world):
            await eventually(lambda: _has_timed_out(world), within_s=TIMED_OUT_WITHIN_S)
        world.mended()
    finally:
        for name, value in (("consumer_timeout", 1_800_000), ("channel_tick_interval", 60_000)):
            await operator.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")
        world.amqp.cut()


async def _has_timed_out(world: World) -> bool:
    return any("PRECONDITION_FAILED - delivery acknowledgement" in keeper.log for keeper in world.keepers)


def _locked(world: World) -> AbstractAsyncContextManager[None]:
    return sqlite.locked(world) if world.setup.database is Database.SQLITE else postgresql.locked(world)
