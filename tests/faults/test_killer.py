"""A message that kills the process: it is found out, and its neighbours pay once at most."""

import asyncio
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from tests.support.wire import Device, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp.topology import DELIVERY_LIMIT as BROKERS_LIMIT

pytestmark = pytest.mark.slow

KILLER = "cam-killer"
NEIGHBOURS = 12
DELIVERY_LIMIT = 2
DONE_WITHIN_S = 100.0

_TAKEN = re.compile(r"^taken (\S+) (\d+)$", re.MULTILINE)


class Fleet:
    """One worker after another, each started when the last one has died."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self.logs = ""
        self.deaths = 0

    async def work(self, until: asyncio.Event) -> None:
        while not until.is_set():
            worker = WorkerProcess(self._settings, program="tests.faults.killer")
            worker.start()
            while worker.is_running and not until.is_set():  # noqa: ASYNC110 - another process's end
                await asyncio.sleep(0.05)
            self.deaths += not worker.is_running
            if worker.is_running:
                await worker.stop()
            self.logs += worker.log
            await worker.discard()


async def test_a_message_that_kills_the_process_costs_its_neighbours_one_delivery_at_most(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    plain = settings_of(broker.url, namespace, database_url)
    async with WorkerProcess(plain):
        pass  # it has made the queues
    broker.ctl("set_policy", namespace, f"^{namespace}.commands$", json.dumps({"delivery-limit": DELIVERY_LIMIT}))
    names = [f"cam-{number}" for number in range(NEIGHBOURS)]
    names.insert(NEIGHBOURS // 2, KILLER)
    fleet, done = Fleet({**plain, "KILLER": KILLER}), asyncio.Event()
    async with Device(broker.url, namespace) as device, Undertaker(broker.url, namespace) as undertaker:
        for name in names:
            await device.tell(
                json.dumps({"device_id": name}).encode(),
                type="stream.create",
                message_id=f"m-{name}",
                reply_to=device.address if name != KILLER else None,
            )
        working = asyncio.create_task(fleet.work(done))
        try:
            await eventually(lambda: undertaker.depth("dead"), within_s=DONE_WITHIN_S)
            await eventually(lambda: all_answered(device), within_s=DONE_WITHIN_S)
            (letter,) = await undertaker.all()
        finally:
            done.set()
            await working
    broker.ctl("clear_policy", namespace)

    assert letter.message_id == f"m-{KILLER}"
    assert letter.headers["x-death"][0]["reason"] == "delivery_limit"
    counts: Counter[str] = Counter()
    for name, count in _TAKEN.findall(fleet.logs):
        counts[name] = max(counts[name], int(count))
    assert counts.pop(KILLER) >= DELIVERY_LIMIT
    assert max(counts.values()) <= 1, fleet.logs
    assert fleet.deaths >= DELIVERY_LIMIT


@pytest.mark.timeout(300)
async def test_on_partitions_it_dies_alone_at_the_brokers_limit(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    """There is no narrow consumer: what came back more than twice goes one by one, in an order by chance."""
    settings = settings_of(
        broker.url, namespace, f"sqlite+aiosqlite:///{tmp_path}/streams.db", STREAMS_PARTITIONS="2"
    )
    async with WorkerProcess(settings):
        pass  # it has made the queues
    names = [f"cam-{number}" for number in range(NEIGHBOURS)]
    names.insert(NEIGHBOURS // 2, KILLER)
    fleet, done = Fleet({**settings, "KILLER": KILLER}), asyncio.Event()
    async with Device(broker.url, namespace) as device, Undertaker(broker.url, namespace) as undertaker:
        for name in names:
            await device.tell(
                json.dumps({"device_id": name}).encode(),
                key=name,
                type="stream.create",
                message_id=f"m-{name}",
                reply_to=device.address if name != KILLER else None,
            )
        working = asyncio.create_task(fleet.work(done))
        try:
            await eventually(lambda: undertaker.depth("dead"), within_s=250)
            await eventually(lambda: all_answered(device), within_s=30)
            (letter,) = await undertaker.all()
        finally:
            done.set()
            await working

    assert letter.message_id == f"m-{KILLER}"
    assert letter.headers["x-death"][0]["reason"] == "delivery_limit"
    assert fleet.deaths == BROKERS_LIMIT + 1


async def all_answered(device: Device) -> bool:
    return len({message.correlation_id for message in device.strays}) == NEIGHBOURS
