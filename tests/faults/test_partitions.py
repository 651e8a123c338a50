"""Order per device across workers that come and go, on partitions."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults.deaths_of_the_worker import kill_at_random
from tests.faults.keeper import Keeper
from tests.faults.orderly import Orderly
from tests.faults.trial import Fault, trial
from tests.faults.world import PARTITIONS_MAX, SETUPS, Servers
from tests.support.bad_day import QUICK
from tests.support.wire import eventually
from tests.support.worker_process import settings_of

WORKERS = 3
# Little in hand, so that partitions change hands while there is something in them.
PARTITIONED = {
    "STREAMS_PARTITIONS": str(PARTITIONS_MAX),
    "STREAMS_BATCH_MAX": "20",
    "STREAMS_PREFETCH": "50",
}


@asynccontextmanager
async def three_workers(
    broker: PrivateBroker, postgres: PrivatePostgres, namespace: str
) -> AsyncIterator[Sequence[Keeper]]:
    postgres.create_database(namespace)
    settings = settings_of(broker.url, namespace, postgres.url(namespace), **QUICK | PARTITIONED)
    keepers = [Keeper(settings, name=f"{namespace}-{number}") for number in range(WORKERS)]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(keeper) for keeper in keepers))
        yield keepers


async def come_and_go(keepers: Sequence[Keeper], orderly: Orderly, *, rng: Random, times: int) -> None:
    """Kill or stop one worker after another, each after some answers more, wherever it is."""
    for number in range(times):
        await answered(orderly, rng.randrange(50, 150))
        how = (signal.SIGKILL, signal.SIGTERM)[number % 2]
        keeper = rng.choice([keeper for keeper in keepers if keeper.worker.is_running])
        keeper.worker.signal(how)


async def answered(orderly: Orderly, more: int) -> None:
    enough = orderly.answers + more
    async with asyncio.timeout(90):
        while orderly.answers < enough:  # noqa: ASYNC110 - many tasks add to it
            await asyncio.sleep(0.01)


async def has_changed_hands(keepers: Sequence[Keeper]) -> bool:
    """Whether somebody has passed a partition on, with devices that go on speaking."""
    return any("partition.passed_on" in keeper.log for keeper in keepers)


@pytest.mark.parametrize("times", [3, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_each_devices_commands_are_carried_out_in_order_while_workers_come_and_go(
    broker: PrivateBroker, postgres: PrivatePostgres, namespace: str, times: int
) -> None:
    async with three_workers(broker, postgres, namespace) as keepers:
        async with Orderly(broker.url, namespace, devices=24) as orderly:
            await answered(orderly, 200)
            await eventually(lambda: has_changed_hands(keepers))
            await come_and_go(keepers, orderly, rng=Random(times), times=times)
            await orderly.end()

            assert orderly.out_of_order() == []
        assert sum(len(keeper.codes) for keeper in keepers) >= times / 2
    assert orderly.answers > 50 * times


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_every_promise_holds_on_partitions_while_workers_are_killed(
    broker: PrivateBroker, postgres: PrivatePostgres, tmp_path: Path
) -> None:
    servers = Servers(broker=broker, postgres=postgres, folder=tmp_path)
    fault = Fault(group="worker", name="killed at random", act=kill_at_random, settings=PARTITIONED)

    outcome = await trial(servers, fault, SETUPS[2], seed=17, is_watched=False)

    assert outcome.is_good, f"{outcome.verdict or outcome.trouble}\n{outcome.record}"
