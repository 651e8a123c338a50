"""`stream-worker` against a real broker and a real worker: what an operator, a device and a subscriber see."""

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import pytest
import pytest_asyncio
from yarl import URL

from devtools.broker import PrivateBroker
from schemas import DEVICE_ID_LOOKS
from tests.support.command_line import (
    Ended,
    command,
    environment,
    stream_worker,
    stream_worker_meanwhile,
    stream_worker_program,
)
from tests.support.worker_process import WorkerProcess, settings_of

SEES_WITHIN_S = 90.0
NO_ANSWER_S = "3"  # by then it has connected and sent, on a busy machine too


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A broker with a worker on it, and the settings that lead there."""

    settings: dict[str, str]
    http_port: int

    async def run(self, *arguments: str) -> Ended:
        return await stream_worker_meanwhile(*arguments, **self.settings)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder: Path = tmp_path_factory.mktemp("database")
    settings = settings_of(
        broker.url, f"c{uuid.uuid4().hex[:8]}", f"sqlite:///{folder}/streams.db", STREAMS_EVENT_LOG="on"
    )
    async with WorkerProcess(settings) as worker:
        yield System(settings=settings, http_port=worker.port)


@pytest.fixture
def device() -> str:
    return f"cam-{uuid.uuid4().hex[:10]}"


@asynccontextmanager
async def watching(
    system: System, *arguments: str, ends_by: signal.Signals = signal.SIGINT
) -> AsyncIterator[asyncio.StreamReader]:
    """Run `watch` until the block ends, then stop it as somebody at a terminal does."""
    process = await asyncio.create_subprocess_exec(
        *command("watch", *arguments),
        env=environment(**system.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(SEES_WITHIN_S):
            assert b"watching" in await process.stderr.readline()
            yield process.stdout
            process.send_signal(ends_by)
            assert await process.stderr.read() == b""
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_stream_is_created_found_and_stopped(system: System, device: str) -> None:
    created = await asyncio.to_thread(stream_worker_program, "send", "create", device, **system.settings)
    assert (created.code, created.err) == (0, "")
    outcome, of, code, status, stream_id = created.out.split()
    assert (outcome, of, status) == ("created", device, "active")

    for selector in ([device], ["--device", device], ["--code", code], ["--id", stream_id]):
        found = await system.run("send", "get", *selector)
        assert (found.code, found.out.split()) == (0, ["found", device, code, "active", stream_id])

    stopped = await system.run("send", "stop", "--code", code.lower())
    assert (stopped.code, stopped.out.split()) == (0, ["stopped", device, code, "stopped", stream_id])


async def test_a_reply_is_printed_as_json(system: System, device: str) -> None:
    ended = await system.run("send", "create", device, "--json")
    reply = json.loads(ended.out)
    assert ended.code == 0
    assert reply["outcome"] == "created"
    assert reply["stream"]["device_id"] == device


async def test_a_problem_is_told_to_people_on_standard_error_with_exit_code_1(system: System, device: str) -> None:
    ended = await system.run("send", "get", device)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("Stream not found: ")
    assert device in ended.err


async def test_a_problem_is_printed_as_json_with_exit_code_1(system: System, device: str) -> None:
    ended = await system.run("send", "get", device, "--json")
    assert (ended.code, ended.err) == (1, "")
    assert json.loads(ended.out)["code"] == "not_found"


async def test_a_problem_names_what_does_not_fit(system: System) -> None:
    ended = await system.run("send", "create", "no device")
    assert ended.code == 1
    assert f"/device_id: Input should be a device id: {DEVICE_ID_LOOKS}\n" in ended.err


async def test_the_same_message_id_gets_the_same_reply(system: System, device: str) -> None:
    message_id = uuid.uuid4().hex
    first = await system.run("send", "create", device, "--json", "--message-id", message_id)
    second = await system.run("send", "create", device, "--json", "--message-id", message_id)
    assert first.out == second.out
    assert json.loads(second.out)["outcome"] == "created"


async def test_a_command_that_nobody_answers_ends_in_time_with_exit_code_75(
    broker: PrivateBroker, namespace: str, device: str
) -> None:
    settings = {"STREAMS_AMQP_URL": broker.url, "STREAMS_NAMESPACE": namespace}
    assert stream_worker("topology", "apply", **settings).code == 0
    ended = stream_worker("send", "create", device, "--timeout", NO_ANSWER_S, **settings)
    assert (ended.code, ended.out) == (75, "")
    assert len(ended.err.splitlines()) == 1
    assert "is a worker running?" in ended.err

    async with asyncio.timeout(SEES_WITHIN_S), await aio_pika.connect(broker.url) as connection:
        queue = await (await connection.channel()).get_queue(f"{namespace}.commands")
        sent = await queue.get(no_ack=True)
    assert sent is not None
    assert ended.err.endswith(f"to repeat it safely: --message-id {sent.message_id}\n")


def test_a_message_id_of_ones_own_is_told_as_a_shell_takes_it(broker: PrivateBroker, namespace: str) -> None:
    settings = {"STREAMS_AMQP_URL": broker.url, "STREAMS_NAMESPACE": namespace}
    assert stream_worker("topology", "apply", **settings).code == 0
    ended = stream_worker("send", "get", "cam-1", "--timeout", NO_ANSWER_S, "--message-id", "my own", **settings)
    assert ended.err.endswith("--message-id 'my own'\n")


def test_a_virtual_host_that_is_not_there_is_told_in_one_line_and_exit_code_78(broker: PrivateBroker) -> None:
    url = str(URL(broker.url).with_path("/nowhere"))
    ended = stream_worker_program("send", "create", "cam-1", STREAMS_AMQP_URL=url)
    assert (ended.code, ended.out) == (78, "")
    assert "is there such a virtual host" in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_watch_prints_events_as_they_come_until_ctrl_c(system: System, device: str) -> None:
    async with watching(system, "--device", device) as output:
        await system.run("send", "create", device)
        created = (await output.readline()).decode()
        await system.run("send", "stop", device)
        stopped = (await output.readline()).decode()
    assert created.split()[1:3] == ["stream.created", device]
    assert stopped.split()[1:3] == ["stream.stopped", device]
    assert (created.split()[-1], stopped.split()[-1]) == ("#1", "#2")


async def test_watch_prints_whole_events_as_json(system: System, device: str) -> None:
    async with watching(system, "--json", "--device", device, "--type", "stream.stopped") as output:
        await system.run("send", "create", device)
        await system.run("send", "stop", device)
        event = json.loads(await output.readline())
    assert (event["specversion"], event["type"], event["sequence"]) == ("1.0", "stream.stopped", "2")
    assert event["data"]["stream"]["device_id"] == device


@pytest.mark.parametrize("begin", ["first", "0", "2026-01-12T09:30:00Z"])
async def test_watch_replays_the_history(system: System, device: str, begin: str) -> None:
    await system.run("send", "create", device)
    async with watching(system, "--device", device, "--replay-from", begin) as output:
        assert device in (await output.readline()).decode()
        await system.run("send", "stop", device)
        assert "stream.stopped" in (await output.readline()).decode()


async def test_watch_ends_well_when_it_is_told_to(system: System) -> None:
    async with watching(system, ends_by=signal.SIGTERM):
        pass


async def test_a_named_queue_keeps_events_for_the_next_watch(system: System, device: str) -> None:
    queue = f"{system.settings['STREAMS_NAMESPACE']}.watched"
    async with watching(system, "--queue", queue, "--device", device):
        pass
    await system.run("send", "create", device)
    async with watching(system, "--queue", queue, "--device", device) as output:
        assert device in (await output.readline()).decode()


def test_health_of_a_real_worker(system: System) -> None:
    ended = stream_worker_program("health", STREAMS_HTTP_PORT=str(system.http_port))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "ok\n  consuming: ok\n  database: ok\n  not_draining: ok\n"


def test_partitions_that_are_not_wanted_any_more_are_named(broker: PrivateBroker, namespace: str) -> None:
    settings = {"STREAMS_AMQP_URL": broker.url, "STREAMS_NAMESPACE": namespace}
    more = stream_worker("topology", "apply", STREAMS_PARTITIONS="3", **settings)
    fewer = stream_worker("topology", "apply", STREAMS_PARTITIONS="2", **settings)

    assert (more.code, more.err) == (0, "")
    assert (fewer.code, fewer.err.splitlines()) == (
        0,
        [f"{namespace}.commands.3 gets nothing any more: delete it when the old workers have emptied it"],
    )
    assert stream_worker("topology", "check", STREAMS_PARTITIONS="3", **settings).code == 0
    assert stream_worker("topology", "check", STREAMS_PARTITIONS="4", **settings).code == 1


def test_topology_is_missing_until_it_is_applied(broker: PrivateBroker, namespace: str) -> None:
    settings = {"STREAMS_AMQP_URL": broker.url, "STREAMS_NAMESPACE": namespace}
    before = stream_worker("topology", "check", **settings)
    assert before.code == 1
    assert f"{namespace}.commands" in before.out
    assert f"{namespace}.commands" in str(json.loads(stream_worker("topology", "check", "--json", **settings).out))

    assert stream_worker("topology", "apply", **settings).code == 0
    assert stream_worker("topology", "apply", **settings).code == 0
    after = stream_worker("topology", "check", **settings)
    assert (after.code, after.out) == (0, "nothing is missing\n")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_on_a_database_that_is_not_migrated_says_what_to_do(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    settings = settings_of(broker.url, namespace, database_url) | {"STREAMS_DATABASE_MIGRATE": "false"}
    ended = stream_worker_program("run", **settings, STREAMS_HTTP_PORT="0")
    assert ended.code == 78
    assert "stream-worker db upgrade" in ended.err


async def test_a_worker_whose_health_port_is_taken_says_so(system: System) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        ended = await asyncio.to_thread(
            stream_worker_program, "run", **system.settings, STREAMS_HTTP_PORT=str(port)
        )
    assert ended.code == 78
    assert f"Cannot listen on 127.0.0.1:{port}" in ended.err
