"""The client's requests while the broker is restarted, and while the worker is killed: each is answered once, and
takes effect once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from stream_client import StreamsClient
from tests.faults.snapshot import read_snapshot
from tests.support.worker_process import WorkerProcess, settings_of

REQUESTS = 400
AT_ONCE = 40
OLD_ENOUGH_S = 1.2  # of a quorum queue, to survive
WITHIN_S = 90.0

Harm = Callable[[WorkerProcess, PrivateBroker], Awaitable[None]]


async def kill_the_worker(worker: WorkerProcess, _broker: PrivateBroker) -> None:
    await worker.kill()
    worker.start()


async def restart_the_broker(_worker: WorkerProcess, broker: PrivateBroker) -> None:
    await asyncio.to_thread(broker.restart)


@pytest.mark.parametrize("harm", [kill_the_worker, restart_the_broker])
async def test_every_request_in_flight_is_answered_once_and_takes_effect_once(
    broker: PrivateBroker, namespace: str, tmp_path: Path, harm: Harm
) -> None:
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
    outcomes: list[str] = []
    quarter = asyncio.Event()
    turns = asyncio.Semaphore(AT_ONCE)

    async def ask(client: StreamsClient, number: int) -> None:
        async with turns:
            reply = await client.create(f"cam-{number}")
        assert reply.stream.device_id == f"cam-{number}"
        outcomes.append(reply.outcome)
        if len(outcomes) >= REQUESTS // 4:
            quarter.set()

    async with WorkerProcess(settings_of(broker.url, namespace, database_url)) as worker:
        if harm is restart_the_broker:
            await asyncio.sleep(OLD_ENOUGH_S)
        async with (
            asyncio.timeout(WITHIN_S),
            StreamsClient(broker.url, namespace=namespace, timeout_s=WITHIN_S, attempt_s=2) as client,
            asyncio.TaskGroup() as asking,
        ):
            for number in range(REQUESTS):
                asking.create_task(ask(client, number))
            await quarter.wait()
            assert len(outcomes) < REQUESTS
            await harm(worker, broker)

    # A repeat that was taken for a new command would have found the stream there, and have said "reused".
    assert outcomes == ["created"] * REQUESTS
    world = await read_snapshot(database_url)
    assert [stream.version for stream in world.streams] == [1] * REQUESTS
