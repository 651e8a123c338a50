"""A command that fails in the database whenever it is tried: it is found, answered and put aside, and the others
never hear of it.

What makes it fail is real: the row of its device was put back by hand, or came from a backup, so that the next
sequence of its events is taken for ever.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aio_pika.abc import AbstractIncomingMessage
from sqlalchemy import update
from sqlalchemy.ext.asyncio import create_async_engine

from devtools.broker import PrivateBroker
from tests.support.wire import Device, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.sql.tables import devices

GUILTY = "cam-7"
CAMS = [f"cam-{number}" for number in range(15)]
TRIES = 2
OTHERS_WITHIN_S = 30.0

pytestmark = pytest.mark.timeout(180)


@asynccontextmanager
async def worker_with_a_restored_device(
    broker: PrivateBroker, namespace: str, database_url: str
) -> AsyncIterator[tuple[WorkerProcess, Device]]:
    """The guilty device has a stream that ended, and its row says that nothing ever happened."""
    settings = settings_of(broker.url, namespace, database_url, STREAMS_COMMAND_TRIES=str(TRIES))
    async with WorkerProcess(settings) as worker, Device(broker.url, namespace) as device:
        for name in CAMS:
            await device.command("create", device_id=name)
        await device.command("stop", device_id=GUILTY)
        await put_back(database_url)
        yield worker, device


async def put_back(database_url: str) -> None:
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(update(devices).where(devices.c.id == GUILTY).values(sequence=0))
    await engine.dispose()


async def tell(device: Device, kind: str, name: str, message_id: str) -> None:
    body = json.dumps({"device_id": name}).encode()
    await device.tell(body, type=f"stream.{kind}", message_id=message_id, reply_to=device.address)


async def heard(device: Device, message_id: str) -> AbstractIncomingMessage:
    return await device.stray(lambda message: message.correlation_id == message_id)


def told(message: AbstractIncomingMessage) -> str:
    content = json.loads(message.body)
    return str(content.get("outcome") or content["code"])


async def test_the_guilty_one_is_answered_internal_and_kept_and_the_others_go_on(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    async with (
        worker_with_a_restored_device(broker, namespace, database_url) as (worker, device),
        always_ready(worker),
    ):
        for name in CAMS:
            await tell(device, "create", name, f"m-{name}")
        began_s = time.monotonic()
        others = [await heard(device, f"m-{name}") for name in CAMS if name != GUILTY]
        others_took_s = time.monotonic() - began_s
        guilty = await heard(device, f"m-{GUILTY}")
        again = await device.command("create", device_id="cam-new")
        async with Undertaker(broker.url, namespace) as undertaker:
            await eventually(lambda: undertaker.depth("dead"))
            letters = await undertaker.all()

    assert {told(message) for message in others} == {"reused"}
    assert others_took_s < OTHERS_WITHIN_S
    assert told(guilty) == "internal"
    assert json.loads(guilty.body)["retryable"] is True
    assert again["outcome"] == "created"
    assert [(letter.message_id, letter.headers["x-streams-reason"]) for letter in letters] == [
        (f"m-{GUILTY}", "internal")
    ]
    assert worker.log.count('"epoch.over"') == 0


@asynccontextmanager
async def always_ready(worker: WorkerProcess) -> AsyncIterator[None]:
    """Look all the time. Raises AssertionError."""
    looks: list[int] = []

    async def look() -> None:
        while True:
            looks.append((await worker.readiness())[0])
            await asyncio.sleep(0.05)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    assert set(looks) == {200}


async def test_a_guilty_command_that_is_asked_again_after_the_repair_is_carried_out(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    """It is retryable, and not remembered."""
    async with worker_with_a_restored_device(broker, namespace, database_url) as (_, device):
        await tell(device, "create", GUILTY, "m-1")
        assert told(await heard(device, "m-1")) == "internal"
        engine = create_async_engine(database_url)
        async with engine.begin() as connection:
            await connection.execute(update(devices).where(devices.c.id == GUILTY).values(sequence=2))
        await engine.dispose()

        repaired = await device.command("create", device_id=GUILTY, message_id="m-1")

    assert repaired["outcome"] == "created"
