"""Hostile messages sent by a raw socket to a worker that is running: it lives, and every one is accounted for."""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from aio_pika.abc import AbstractQueue
from typing_extensions import override

from devtools.broker import PrivateBroker
from tests.faults.hostile import FORGED, Hostility, header
from tests.faults.hostile_accounts import Found, Plan, unaccounted
from tests.faults.hostile_sender import HostileSender
from tests.support import raw_amqp as raw
from tests.support.memory import resident_mib
from tests.support.wire import Device, Listener, Undertaker
from tests.support.worker_process import WorkerProcess, settings_of

MESSAGES: Final = 5_000
PORTION: Final = 100  # then a good command
WARM_AFTER: Final = 1_000
SEED: Final = 5_000
GROWTH_MAX_MIB: Final = 12.0  # measured: 1 to 3
FRAME_BYTES_MAX: Final = 131_072 - 8  # what the broker offers, less what is around a payload
OVERSIZED: Final = 60


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "streams.db"


@pytest.fixture
async def worker(broker: PrivateBroker, namespace: str, database: Path) -> AsyncIterator[WorkerProcess]:
    settings = settings_of(broker.url, namespace, f"sqlite+aiosqlite:///{database}", STREAMS_LOG_FORMAT="json")
    async with WorkerProcess(settings) as worker:
        yield worker


@pytest.fixture
async def device(broker: PrivateBroker, namespace: str, worker: WorkerProcess) -> AsyncIterator[Device]:
    del worker  # which declares what is published to
    async with Device(broker.url, namespace) as device:
        yield device


class Graveyard(Listener):
    """Takes every dead letter there is."""

    @override
    async def _queue(self) -> AbstractQueue:
        return await self.channel.get_queue(f"{self.namespace}.dead", ensure=False)


async def work_off(device: Device) -> None:
    """Wait until everything that was sent before is settled: with the reply to the first of these its batch may
    not be at its end, but the second can only come in a later one.
    """
    for name in ("the-last-but-one", "the-last"):
        await device.command("create", device_id=name)


async def found(broker: PrivateBroker, namespace: str, *, device: Device, log: str, database: Path) -> Found:
    """Gather the traces of everything that was worked off."""
    async with Undertaker(broker.url, namespace) as undertaker:
        count = await undertaker.depth("dead")
    async with Graveyard(broker.url, namespace) as graveyard:
        letters = await graveyard.until(lambda heard: len(heard) >= count)
    with closing(sqlite3.connect(database)) as connection:
        devices = {name for (name,) in connection.execute("SELECT id FROM devices")}
    return Found(
        letters=Counter(letter.body for letter in letters),
        replies=Counter(reply.correlation_id or "" for reply in device.strays),
        devices=devices,
        refused_unasked=Found.refusals_in(log),
    )


@pytest.mark.timeout(240)
@pytest.mark.slow
async def test_5000_hostile_messages_are_all_accounted_for_and_the_worker_lives_on(
    broker: PrivateBroker, namespace: str, worker: WorkerProcess, device: Device, database: Path
) -> None:
    pid, warm_mib = worker.process.pid, 0.0
    plan = Plan(Hostility(SEED, addresses=[device.address.encode(), b"streams.commands"]), device.address)
    async with HostileSender(broker.url, f"{namespace}.commands", is_risky=plan.is_risky) as sender:
        for number in range(MESSAGES // PORTION):
            await sender.send(plan.draw(PORTION))
            answer = await device.command("create", device_id=f"good-{number}", message_id=f"good-{number}")
            assert answer["outcome"] == "created"
            if (number + 1) * PORTION == WARM_AFTER:
                warm_mib = await resident_mib(pid)
    await work_off(device)

    ledger, log = sender.ledger, worker.log
    traces = await found(broker, namespace, device=device, log=log, database=database)
    assert not unaccounted(plan.expected, traces, accepted=ledger.accepted, unknown=ledger.unknown)
    assert len(ledger.unknown) < MESSAGES // 50, "what the broker takes would not be known well enough"
    assert len(ledger.accepted) > MESSAGES * 4 // 5
    assert await resident_mib(pid) - warm_mib < GROWTH_MAX_MIB
    assert (await worker.readiness())[0] == 200
    assert (worker.is_running, log.count('"worker.starting"'), log.count('"epoch.over"')) == (True, 1, 0)
    assert "tripped_the_decoder" not in log


async def test_no_message_forges_a_line_of_the_log(
    broker: PrivateBroker, namespace: str, worker: WorkerProcess, device: Device
) -> None:
    """Whatever of a message gets into the log stands in a field of a line of ours."""
    before = len(worker.log.splitlines())
    names = raw.table((FORGED, raw.text(FORGED)), (b"t", b"F" + raw.table((FORGED * 3, raw.text(FORGED)))))
    properties: list[dict[str, bytes]] = [
        {"type": FORGED},
        {"type": b"stream.create", "content_type": FORGED},
        {"type": b"stream.create", "reply_to": f"{namespace}.reply.".encode() + FORGED},
        {"type": b"stream.create", "reply_to": b"amq.rabbitmq.reply-to.forged"},
        {"type": b"stream.get", "message_id": FORGED, "correlation_id": FORGED, "app_id": FORGED},
    ]
    async with raw.RawPublisher(broker.url) as publisher:
        for given in properties:
            values = {name: raw.short(value) for name, value in given.items()} | {"headers": names}
            for body in (b'{"device_id": "' + FORGED[:6] + b'"}', FORGED):
                await publisher.publish(f"{namespace}.commands", FORGED, header(values, len(body)), body)
    await work_off(device)

    lines = [json.loads(line) for line in worker.log.splitlines()[before:]]
    assert len(lines) > 2
    assert {line["logger"].partition(".")[0] for line in lines} == {"worker"}
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", line["event"]) for line in lines)
    assert "forged.line" not in {line["event"] for line in lines}


@pytest.mark.parametrize("kind", ["names", "depth", "breadth"])
async def test_oversized_header_tables_leave_memory_flat(
    broker: PrivateBroker, namespace: str, worker: WorkerProcess, device: Device, kind: str
) -> None:
    """As large as a frame can be: the properties of a message stand in one."""
    table = {
        "names": raw.table(*((b"%07d" % n, b"V") for n in range(FRAME_BYTES_MAX // 9 - 20))),
        "depth": raw.table((b"a", b"F" + raw.nested(1_000)), (b"b", raw.text(b"x" * (FRAME_BYTES_MAX - 7_500)))),
        "breadth": raw.table((b"a", b"A" + raw.long(b"V" * (FRAME_BYTES_MAX - 100)))),
    }[kind]
    payload = raw.header(raw.HEADERS, table, body_size=4)
    assert FRAME_BYTES_MAX - 1_000 < len(payload) <= FRAME_BYTES_MAX

    async def send(count: int) -> float:
        for number in range(count):
            await publisher.publish(f"{namespace}.commands", b"cam-1", payload, b"%04d" % number)
        await work_off(device)
        return await resident_mib(worker.process.pid)

    async with raw.RawPublisher(broker.url) as publisher:
        warm_mib = await send(OVERSIZED)
        grown_mib = await send(OVERSIZED) - warm_mib

    assert grown_mib < GROWTH_MAX_MIB
    async with Undertaker(broker.url, namespace) as undertaker:
        assert await undertaker.depth("dead") == 2 * OVERSIZED
    assert worker.log.count('"epoch.over"') == 0
