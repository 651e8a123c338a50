"""Forgetting while there is work: nothing is done twice for it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import func, select

from devtools.broker import PrivateBroker
from tests.faults.archive import keep_what_is_pruned, read_all_that_was
from tests.faults.checks.verdict import Circumstances, verdict
from tests.faults.crowd import Crowd, Plan
from tests.faults.journal import now_s
from tests.faults.load import Mix
from tests.faults.snapshot import connected, read_snapshot
from tests.support.bad_day import QUICK
from tests.support.proxy import Proxy
from tests.support.wire import Device, Subscriber, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.sql.tables import handled_commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KEPT_S = 3  # in this test a repeat comes at once or never
PRUNING = {
    "STREAMS_HANDLED_RETENTION_S": str(KEPT_S),
    "STREAMS_CLOCK_SKEW_S": "1",
    "STREAMS_EVENT_RETENTION_S": "1",
    "STREAMS_PRUNE_INTERVAL_S": "0.1",
    "STREAMS_PRUNE_BATCH_MAX": "40",
}
NO_LATE_REPEATS = Mix(repeat=0, misuse=0, at_once=0.15)
SPOKEN_WITHIN_S = 120.0
SETTLED_WITHIN_S = 30.0


@pytest.mark.parametrize(
    ("database_url", "workers"),
    [("sqlite", 1), ("postgresql", 1), pytest.param("postgresql", 3, marks=pytest.mark.slow)],
    indirect=["database_url"],
)
async def test_nothing_is_done_twice_while_the_history_is_forgotten(
    broker: PrivateBroker, namespace: str, database_url: str, workers: int
) -> None:
    plan = Plan(seed=9, commands=400, rate_per_s=45, sender="guest", mix=NO_LATE_REPEATS)
    async with Proxy(broker.url, is_tapped=True) as tap:
        settings = settings_of(tap.url, namespace, database_url, **QUICK | PRUNING)
        async with many(settings, workers), Crowd(broker.url, namespace, plan) as crowd:
            await keep_what_is_pruned(database_url)
            async with asyncio.timeout(SPOKEN_WITHIN_S):
                await crowd.speak()
            healed_at_s = now_s()
            assert await crowd.settle(database_url, within_s=SETTLED_WITHIN_S)
            history = await crowd.history()
            left = await read_snapshot(database_url)
        seen = tap.wire_log()
    everything = await read_all_that_was(database_url)
    calm = Circumstances(healed_at_s=healed_at_s, within_s=SETTLED_WITHIN_S, seen=seen)
    result = verdict(history, everything, calm)

    assert result.is_good, str(result)
    assert len(everything.handled) - len(left.handled) > 100
    assert len(everything.events) - len(left.events) > 30


@asynccontextmanager
async def many(settings: dict[str, str], count: int) -> AsyncIterator[None]:
    if not count:
        yield
        return
    async with WorkerProcess(settings), many(settings, count - 1):
        yield


async def test_a_repeat_within_the_retention_gets_its_first_answer_and_after_it_expired(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    settings = settings_of(broker.url, namespace, database_url, **QUICK | PRUNING)
    async with (
        WorkerProcess(settings),
        Device(broker.url, namespace) as device,
        Subscriber(broker.url, namespace) as subscriber,
    ):
        asked = datetime.now(UTC)

        async def ask() -> AbstractIncomingMessage:
            return await device.ask(
                b'{"device_id": "cam-1"}', type="stream.create", message_id="m-1", timestamp=asked
            )

        first, again = await ask(), await ask()
        await device.command("stop", device_id="cam-1")

        async def is_forgotten() -> bool:
            return await remembered(database_url) == 0

        await eventually(is_forgotten)
        late = await ask()
        got = await device.command("get", device_id="cam-1")
        heard = await subscriber.until(lambda messages: len(messages) == 2)

    assert again.body == first.body
    assert (again.message_id, json.loads(first.body)["outcome"]) == (first.message_id, "created")
    assert json.loads(late.body)["code"] == "expired"
    assert got["stream"]["status"] == "stopped"
    assert [message.type for message in heard] == ["stream.created", "stream.stopped"]


async def remembered(database_url: str) -> int:
    async with connected(database_url) as connection:
        return int(await connection.scalar(select(func.count()).select_from(handled_commands)) or 0)
