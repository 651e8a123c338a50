"""What has to hold while the database is away, as those see it who stand around the workers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from tests.faults.journal import now_s
from tests.faults.wire_log import Direction, Seen
from tests.faults.world import World
from tests.support.wire import eventually

NOTICED_WITHIN_S: Final = 30.0
BACK_WITHIN_S: Final = 60.0
ANSWERS: Final = 10  # new ones, by which the workers show that they are back
COUNTS_MAX: Final = 1  # what an outage may cost a message
LOOK_S: Final = 0.1
QUIET_S: Final = 1.0

Harm = Callable[[World], AbstractAsyncContextManager[None]]
"""Keeps the database from its work for as long as a block lasts, and mends it."""


@asynccontextmanager
async def an_outage(world: World) -> AsyncIterator[None]:
    """Around a harm and its end: no message pays for it with more than one delivery count, and one for each worker
    that is killed meanwhile, and the workers come back without help. Raises AssertionError.
    """
    began_s, counts, crashes = now_s(), _delivery_counts(world), _crashes(world)
    yield
    world.mended()
    async with asyncio.timeout(BACK_WITHIN_S):
        await world.ready()
    await world.answered(ANSWERS, within_s=BACK_WITHIN_S)
    cost_max = COUNTS_MAX + _crashes(world) - crashes
    costly = [
        seen
        for seen in _since(world, began_s)
        if seen.delivery_count > counts.get(seen.correlation_id, 0) + cost_max
    ]
    assert not costly, f"it cost more than {cost_max} delivery counts: {costly[:3]}"


async def nobody_works(world: World) -> None:
    """Wait until every worker says that it is not ready, for it does not consume. Raises TimeoutError.

    The broker is not asked: it counts a consumer that was cancelled until what it had taken is settled.
    """

    async def look() -> bool:
        told = [await keeper.worker.readiness() for keeper in world.keepers]
        return all(_does_not_consume(*one) for one in told)

    await eventually(look, within_s=NOTICED_WITHIN_S)


def _does_not_consume(status: int, body: dict[str, object]) -> bool:
    checks = body.get("checks")
    return status == 503 and isinstance(checks, dict) and not checks["consuming"]["ok"]


async def nothing_is_acknowledged(world: World, *, for_s: float) -> None:
    """See that nobody takes or acknowledges anything, is ready, or dies, for so long. Raises AssertionError.

    What was saved before is still said and acknowledged; it begins when nothing was for a while.
    """
    await eventually(lambda: _is_quiet(world), within_s=NOTICED_WITHIN_S)
    began_s, crashes = now_s(), _crashes(world)
    while now_s() < began_s + for_s:
        for keeper in world.keepers:
            assert (await keeper.worker.readiness())[0] == 503, "a worker without a database says it is ready"
        await asyncio.sleep(LOOK_S)
    since = _since(world, began_s)
    taken = [seen for seen in since if seen.method == "Basic.Deliver"]
    assert not taken, f"taken without a database: {taken[:3]}"
    early = _acknowledged(since)
    assert not early, f"acknowledged without a database: {early[:3]}"
    assert _crashes(world) == crashes, "a worker died of it"


async def _is_quiet(world: World) -> bool:
    return not _acknowledged(_since(world, now_s() - QUIET_S))


def _acknowledged(seen: Iterable[Seen]) -> list[Seen]:
    return [one for one in seen if one.method == "Basic.Ack" and one.direction is Direction.TO_BROKER]


def _delivery_counts(world: World) -> Mapping[str | None, int]:
    """Return what each message has on its account already; what a connection took that is gone is one more."""
    open_now = world.amqp.names
    counts: dict[str | None, int] = {}
    for seen in world.amqp.wire_log():
        if seen.method == "Basic.Deliver":
            is_back = int(seen.connection.split()[0]) not in open_now
            counts[seen.correlation_id] = max(counts.get(seen.correlation_id, 0), seen.delivery_count + is_back)
    return counts


def _since(world: World, at_s: float) -> list[Seen]:
    return [seen for seen in world.amqp.wire_log() if seen.at_s > at_s]


def _crashes(world: World) -> int:
    return sum(keeper.crashes for keeper in world.keepers)
