"""Start, stop, and what is said when it cannot start."""

import asyncio
import json
import signal
import socket
import sqlite3
import time
import uuid
from pathlib import Path

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from devtools.ports import free_port
from tests.support.wire import Device, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of

SLACK_S = 7.0  # for a busy machine; without the deadline these workers took ten to sixty seconds


def sqlite_in(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder}/streams.db"


async def ask_once(device: Device, device_id: str) -> AbstractIncomingMessage:
    body = json.dumps({"device_id": device_id}).encode()
    return await device.ask(body, type="stream.create", message_id=uuid.uuid4().hex)


async def test_sigterm_finishes_what_is_in_hand_and_exits_with_0(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    async with (
        WorkerProcess(settings_of(broker.url, namespace, sqlite_in(tmp_path))) as worker,
        Device(broker.url, namespace) as device,
        Undertaker(broker.url, namespace) as undertaker,
    ):
        asked = [asyncio.create_task(ask_once(device, f"cam-{number}")) for number in range(300)]
        await eventually(lambda: _any_done(asked))
        code = await worker.stop()

        async def every_command_is_answered_or_still_in_the_queue() -> bool:
            return sum(task.done() for task in asked) + await undertaker.depth("commands") == len(asked)

        await eventually(every_command_is_answered_or_still_in_the_queue)  # some are still on their way there
        answered = sum(task.done() for task in asked)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    assert code == 0
    assert 0 < answered <= 300
    assert "stop.draining" in worker.log_at_exit
    assert "drain.unfinished" not in worker.log_at_exit


async def _any_done(tasks: "list[asyncio.Task[AbstractIncomingMessage]]") -> bool:
    return any(task.done() for task in tasks)


async def test_ctrl_c_is_the_same(broker: PrivateBroker, namespace: str, tmp_path: Path) -> None:
    async with WorkerProcess(settings_of(broker.url, namespace, sqlite_in(tmp_path))) as worker:
        worker.signal(signal.SIGINT)

        assert await worker.exit_code() == 0


async def test_a_second_signal_exits_at_once(broker: PrivateBroker, namespace: str, tmp_path: Path) -> None:
    settings = settings_of(broker.url, namespace, sqlite_in(tmp_path), STREAMS_CONFIRM_TIMEOUT_S="60")
    worker = WorkerProcess(settings | {"STREAMS_DRAIN_TIMEOUT_S": "60", "STREAMS_SETTLE_TIMEOUT_S": "60"})
    worker.start()
    try:
        await worker.ready()
        await asyncio.to_thread(broker.pause)  # a broker that says nothing: the drain has to wait for it
        worker.signal(signal.SIGTERM)
        await eventually(lambda: _said(worker, "stop.draining"))
        worker.signal(signal.SIGTERM)

        assert await worker.exit_code(within_s=30) == 128 + signal.SIGTERM
    finally:
        await asyncio.to_thread(broker.resume)
        await worker.discard()


async def test_a_drain_that_cannot_finish_ends_at_its_deadline(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    settings = settings_of(broker.url, namespace, sqlite_in(tmp_path), STREAMS_DRAIN_TIMEOUT_S="1")
    worker = WorkerProcess(settings | {"STREAMS_SETTLE_TIMEOUT_S": "60"})
    worker.start()
    try:
        await worker.ready()
        await asyncio.to_thread(broker.pause)
        worker.signal(signal.SIGTERM)

        assert await worker.exit_code(within_s=45) == 0
        assert "drain.unfinished" in worker.log
    finally:
        await asyncio.to_thread(broker.resume)
        await worker.discard()


async def exits_in_time(settings: dict[str, str]) -> None:
    """Stop a worker that is stuck in something, and see that its deadline holds."""
    worker = WorkerProcess(settings | {"STREAMS_DRAIN_TIMEOUT_S": "2"})
    worker.start()
    try:
        await eventually(lambda: _said(worker, "worker.starting"))
        asked_s = time.monotonic()
        worker.signal(signal.SIGTERM)

        assert await worker.exit_code() == 0
        assert time.monotonic() - asked_s < 2 + SLACK_S
    finally:
        await worker.discard()


async def test_the_drain_deadline_holds_while_a_locked_database_waits_to_be_migrated(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "streams.db", isolation_level=None) as somebody:
        somebody.execute("PRAGMA journal_mode = WAL")
        somebody.execute("BEGIN IMMEDIATE")

        await exits_in_time(settings_of(broker.url, namespace, sqlite_in(tmp_path)))
    somebody.close()


async def test_the_drain_deadline_holds_while_a_database_accepts_and_says_nothing(
    broker: PrivateBroker, namespace: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql+asyncpg://nobody:secret@127.0.0.1:{mute.getsockname()[1]}/streams"

        await exits_in_time(settings_of(broker.url, namespace, url))


async def _said(worker: WorkerProcess, event: str) -> bool:
    return event in worker.log


async def _tried_twice(worker: WorkerProcess) -> bool:
    return worker.log.count("epoch.over") >= 2


async def refused(settings: dict[str, str]) -> str:
    """Start a worker that must not start, and return what it said."""
    worker = WorkerProcess(settings)
    worker.start()
    try:
        assert await worker.exit_code() == 78
        return worker.log
    finally:
        await worker.discard()


async def test_a_database_that_is_not_migrated_is_refused_with_what_to_do(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    settings = settings_of(broker.url, namespace, sqlite_in(tmp_path)) | {"STREAMS_DATABASE_MIGRATE": "false"}

    assert "stream-worker db upgrade" in await refused(settings)


async def test_a_missing_topology_is_refused_where_it_is_only_checked(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    said = await refused(settings_of(broker.url, namespace, sqlite_in(tmp_path), STREAMS_TOPOLOGY="check"))

    assert f"queue {namespace}.commands" in said
    assert "stream-worker topology apply" in said


async def test_a_queue_with_other_arguments_is_refused(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    async with await aio_pika.connect(broker.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue(f"{namespace}.commands", durable=True)

    said = await refused(settings_of(broker.url, namespace, sqlite_in(tmp_path)))

    assert "inequivalent arg" in said
    assert "choose another STREAMS_NAMESPACE" in said


async def test_a_misspelt_setting_is_refused_in_one_line() -> None:
    said = await refused({"STREAMS_BATCH_MAXX": "7"})

    assert said.strip().count("\n") == 0
    assert "STREAMS_BATCH_MAX?" in said


async def test_a_broker_that_is_away_is_tried_for_ever_and_the_worker_says_that_it_is_not_ready(
    tmp_path: Path,
) -> None:
    url = f"amqp://worker:hunter2@127.0.0.1:{free_port()}/"
    worker = WorkerProcess(settings_of(url, "streams", sqlite_in(tmp_path)))
    worker.start()
    try:
        await eventually(lambda: _tried_twice(worker))
        status, body = await worker.readiness()

        assert status == 503
        assert body["checks"]["consuming"]["ok"] is False  # type: ignore[index]
        assert body["checks"]["database"]["ok"] is True  # type: ignore[index]
        assert worker.is_running
        assert await worker.stop() == 0
        assert "hunter2" not in worker.log
    finally:
        await worker.discard()


async def test_a_wrong_password_is_tried_again_and_never_shown(broker: PrivateBroker, tmp_path: Path) -> None:
    url = broker.url.replace("guest:guest", "guest:hunter2")
    worker = WorkerProcess(settings_of(url, "streams", sqlite_in(tmp_path)))
    worker.start()
    try:
        await eventually(lambda: _tried_twice(worker))

        assert worker.is_running
        assert "ACCESS_REFUSED" in worker.log
        assert await worker.stop() == 0
        assert "hunter2" not in worker.log
    finally:
        await worker.discard()


async def test_a_queue_that_is_deleted_ends_the_epoch_and_the_next_one_makes_it_again(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    async with (
        WorkerProcess(settings_of(broker.url, namespace, sqlite_in(tmp_path))) as worker,
        Device(broker.url, namespace) as device,
    ):
        await device.channel.queue_delete(f"{namespace}.commands")
        await eventually(lambda: _said(worker, "epoch.over"))
        await worker.ready()

        assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"
