"""Bodies far over the limit: what the broker lets through is refused, in memory that prefetch bounds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from devtools.broker import PrivateBroker
from tests.faults.hostile import HostileMessage, header
from tests.faults.hostile_sender import HostileSender, Ledger
from tests.support import raw_amqp as raw
from tests.support.broker_side import options
from tests.support.memory import resident_mib
from tests.support.wire import Device, Undertaker
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp.session import apply_topology
from worker.amqp.topology import topology

MIB: Final = 1024 * 1024
LARGE_MIB: Final = 16  # the largest of RabbitMQ 4, by default
LARGE_COUNT: Final = 24
PREFETCH: Final = 8
LOOK_EACH_S: Final = 0.02


def of_size(size: int) -> HostileMessage:
    properties = {"type": raw.short(b"stream.create")}
    return HostileMessage(routing_key=b"cam-1", header=header(properties, size), body=b"x" * size)


async def send(broker: PrivateBroker, namespace: str, *sizes: int) -> Ledger:
    """Queue bodies of these sizes, each alone: the broker may end the connection for it."""
    await apply_topology(options(broker.url), topology(namespace))
    async with HostileSender(broker.url, f"{namespace}.commands", is_risky=lambda _: True) as sender:
        await sender.send(map(of_size, sizes))
    return sender.ledger


async def work_off(broker: PrivateBroker, namespace: str) -> int:
    """Wait until everything that was queued is settled; return how many dead letters there are."""
    async with Device(broker.url, namespace) as device:
        for name in ("the-last-but-one", "the-last"):  # the first one's batch may not be at its end
            assert (await device.command("create", device_id=name))["outcome"] in ("created", "reused")
    async with Undertaker(broker.url, namespace) as undertaker:
        return await undertaker.depth("dead")


@asynccontextmanager
async def highest_mib(worker: WorkerProcess) -> AsyncIterator[list[float]]:
    """Look at a process's memory again and again; the list has what was seen, in MiB."""
    seen = [await resident_mib(worker.process.pid)]

    async def look() -> None:
        while True:
            seen.append(await resident_mib(worker.process.pid))
            await asyncio.sleep(LOOK_EACH_S)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def test_what_the_broker_takes_of_bodies_over_the_limit_is_refused_and_kept(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    """How large a body the broker takes is its own setting; over that, the publisher's channel ends."""
    sizes = (65_536, 65_537, 131_072, 131_073, 1 * MIB, 2 * MIB)
    ledger = await send(broker, namespace, *sizes)

    async with WorkerProcess(settings_of(broker.url, namespace, f"sqlite+aiosqlite:///{tmp_path}/s.db")) as worker:
        letters = await work_off(broker, namespace)
        assert worker.log.count("epoch.over") == 0

    assert letters == len(ledger.accepted)
    assert len(ledger.accepted) + len(ledger.refused) == len(sizes)
    assert len(ledger.accepted) >= 3


@pytest.mark.slow
async def test_memory_is_bounded_by_prefetch_and_given_back(namespace: str, tmp_path: Path) -> None:
    """Prefetch counts messages, not bytes: what a worker may have in hand is prefetch times the largest body.

    Measured with 8 times 16 MiB: from 95 MiB up to 190, and back to 96 or, with a batch not yet let go, to 128.
    """
    with PrivateBroker(settings={"max_message_size": str(LARGE_MIB * MIB)}) as broker:
        settings = settings_of(broker.url, namespace, f"sqlite+aiosqlite:///{tmp_path}/s.db")
        narrow = {"STREAMS_PREFETCH": str(PREFETCH), "STREAMS_BATCH_MAX": str(PREFETCH)}
        async with WorkerProcess(settings | narrow) as worker, highest_mib(worker) as seen:
            ledger = await send(broker, namespace, *[LARGE_MIB * MIB] * LARGE_COUNT)
            assert await work_off(broker, namespace) == LARGE_COUNT
            once_mib, highest = seen[-1], max(seen)
            await send(broker, namespace, *[LARGE_MIB * MIB] * LARGE_COUNT)
            assert await work_off(broker, namespace) == 2 * LARGE_COUNT
            twice_mib = seen[-1]
            assert worker.log.count("epoch.over") == 0

    assert len(ledger.accepted) == LARGE_COUNT
    assert highest - seen[0] < 2 * PREFETCH * LARGE_MIB  # each may be there twice: coming in, and going out
    assert twice_mib - once_mib < PREFETCH * LARGE_MIB / 2
