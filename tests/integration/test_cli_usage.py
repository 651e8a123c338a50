"""What the command line says without any server: how it is used, and what is set wrong."""

import json
from collections.abc import AsyncIterator

import pytest

from devtools.ports import free_port
from schemas import DEVICE_ID_LOOKS, EventName
from tests.support.command_line import Ended, stream_worker, stream_worker_meanwhile, stream_worker_program
from worker.ops.health import HealthServer

COMMANDS = ("run", "db", "topology", "health", "send", "watch", "dead", "events", "asyncapi")
HEAVY = ("aio_pika", "aiohttp", "alembic", "pydantic", "sqlalchemy", "structlog")
SECRET = "hunter2"


def commands_of(group: tuple[str, ...]) -> dict[str, str]:
    """Return what the help of a group lists: each command with what it does."""
    ended = stream_worker(*group, "--help")
    assert (ended.code, ended.err) == (0, "")
    listed = ended.out.partition("Commands:\n")[2].splitlines()
    return {name: does.strip() for name, _, does in (line.strip().partition(" ") for line in listed)}


def test_help_lists_every_command() -> None:
    assert tuple(commands_of(())) == COMMANDS


@pytest.mark.parametrize("group", [(), ("db",), ("topology",), ("send",), ("dead",)], ids=" ".join)
def test_no_list_of_commands_cuts_what_they_do(group: tuple[str, ...]) -> None:
    listed = commands_of(group)
    assert listed
    for name, does in listed.items():
        assert does.endswith("."), name
        assert not does.endswith("..."), name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    ended = stream_worker(name, "--help")
    assert ended.code == 0
    assert f"stream-worker {name}" in ended.out


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("send", "create", "--help"), ("asyncapi",)])
def test_help_costs_no_heavy_import(arguments: tuple[str, ...]) -> None:
    ended = stream_worker_program(*arguments, PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in ended.err.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint(HEAVY)


def test_the_version_is_told() -> None:
    ended = stream_worker("--version")
    assert ended.code == 0
    assert ended.out.startswith("stream-worker")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("run", "fast"),
        ("send",),
        ("send", "create"),
        ("send", "create", "cam-1", "--timeout", "soon"),
        ("send", "create", "cam-1", "--timeout", "0"),
        ("send", "stop"),
        ("send", "stop", "cam-1", "--code", "7K3M9QXA"),
        ("send", "get", "cam-1", "--device", "cam-2"),
        ("send", "create", "cam-1", "--message-id", "x" * 129),
        ("watch", "--type", "stream.paused"),
        ("watch", "--device", "no such thing"),
        ("watch", "--replay-from", "yesterday"),
        ("watch", "--replay-from", "2026-01-12"),
        ("watch", "--replay-from", "first", "--queue", "mine"),
        ("dead",),
        ("dead", "show"),
        ("dead", "list", "--older-than", "soon"),
        ("dead", "list", "--limit", "0"),
        ("dead", "replay"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_explained(arguments: tuple[str, ...]) -> None:
    ended = stream_worker(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Usage: stream-worker" in ended.err


def test_wrong_usage_is_2_for_whoever_started_the_program() -> None:
    ended = stream_worker_program("send", "stop")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: stream-worker send stop ")
    assert "Traceback" not in ended.err


def test_a_type_that_is_none_is_answered_with_those_that_there_are() -> None:
    said = stream_worker("watch", "--type", "stream.paused").err
    assert all(name in said for name in EventName)


def test_a_device_that_is_none_is_answered_with_what_a_device_id_looks_like() -> None:
    said = " ".join(stream_worker("watch", "--device", "no such thing").err.split())
    assert f"not a device id, which is {DEVICE_ID_LOOKS}" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("db", "upgrade"),
        ("db", "current"),
        ("db", "check"),
        ("topology", "check"),
        ("topology", "apply"),
        ("health",),
        ("send", "create", "cam-1"),
        ("watch",),
        ("dead", "list"),
        ("dead", "replay", "--yes"),
    ],
    ids=" ".join,
)
def test_a_wrong_setting_is_told_in_one_line_and_exit_code_78(arguments: tuple[str, ...]) -> None:
    url = f"amqp://worker:{SECRET}@broker.example/?no_verify_ssl=1"
    ended = stream_worker(*arguments, STREAMS_AMQP_URL=url)
    assert (ended.code, ended.out) == (78, "")
    assert ended.err.startswith("stream-worker: STREAMS_AMQP_URL has no_verify_ssl;")
    assert len(ended.err.splitlines()) == 1
    assert SECRET not in ended.err


def test_a_misspelt_setting_is_told_with_what_was_meant() -> None:
    ended = stream_worker_program("run", STREAMS_BATCHMAX="7")
    assert ended.code == 78
    assert ended.err == "stream-worker: STREAMS_BATCHMAX is not a setting; did you mean STREAMS_BATCH_MAX?\n"


def assert_away(ended: Ended, place: str) -> None:
    assert (ended.code, ended.out) == (69, "")
    assert ended.err.startswith("stream-worker: ")
    assert place in ended.err
    assert len(ended.err.splitlines()) == 1
    assert SECRET not in ended.err


@pytest.mark.parametrize(
    "arguments",
    [("topology", "check"), ("send", "create", "cam-1", "--timeout", "0.5"), ("watch",), ("dead", "list")],
    ids=" ".join,
)
def test_a_broker_that_is_away_is_told_in_one_line_and_exit_code_69(arguments: tuple[str, ...]) -> None:
    place = f"127.0.0.1:{free_port()}"  # programs: here, a library's own log lines would not be seen
    assert_away(stream_worker_program(*arguments, STREAMS_AMQP_URL=f"amqp://worker:{SECRET}@{place}/"), place)


@pytest.mark.parametrize("what", ["check", "apply"])
def test_a_topology_that_cannot_be_reached_is_told_with_the_setting_that_leads_there(what: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    ended = stream_worker("topology", what, STREAMS_AMQP_URL=f"amqp://worker:{SECRET}@{place}/")
    assert_away(ended, f"the broker amqp://{place}/ of STREAMS_AMQP_URL cannot be used")


@pytest.mark.parametrize("what", ["upgrade", "current", "check"])
def test_a_database_that_is_away_is_told_in_one_line_and_exit_code_69(what: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    ended = stream_worker("db", what, STREAMS_DATABASE_URL=f"postgresql://worker:{SECRET}@{place}/streams")
    assert_away(ended, place)


async def _well() -> str | None:
    return None


async def _away() -> str | None:
    return "the database is away"


@pytest.fixture
async def healthy() -> AsyncIterator[str]:
    """The port of a worker's health that is well."""
    server = HealthServer(host="127.0.0.1", port=0, checks={"consuming": _well})
    await server.start()
    yield str(server.port)
    await server.stop()


@pytest.fixture
async def unhealthy() -> AsyncIterator[str]:
    """The port of a worker's health that is alive but not ready."""
    server = HealthServer(host="127.0.0.1", port=0, checks={"consuming": _well, "database": _away})
    await server.start()
    yield str(server.port)
    await server.stop()


async def test_health_of_a_worker_that_is_well_is_0(healthy: str) -> None:
    ended = await stream_worker_meanwhile("health", STREAMS_HTTP_PORT=healthy)
    assert (ended.code, ended.out, ended.err) == (0, "ok\n  consuming: ok\n", "")


async def test_health_names_the_check_that_is_not_well_and_is_1(unhealthy: str) -> None:
    ended = await stream_worker_meanwhile("health", STREAMS_HTTP_PORT=unhealthy)
    assert ended.code == 1
    assert ended.out == "unavailable\n  consuming: ok\n  database: the database is away\n"


async def test_health_is_told_as_json_too(unhealthy: str) -> None:
    ended = await stream_worker_meanwhile("health", "--json", STREAMS_HTTP_PORT=unhealthy)
    assert ended.code == 1
    assert json.loads(ended.out)["checks"]["database"] == {"ok": False, "detail": "the database is away"}


async def test_a_worker_that_is_not_ready_is_still_alive(unhealthy: str) -> None:
    ended = await stream_worker_meanwhile("health", "--live", STREAMS_HTTP_PORT=unhealthy)
    assert (ended.code, ended.out) == (0, "ok\n")


async def test_health_asks_every_address_on_the_loopback(healthy: str) -> None:
    ended = await stream_worker_meanwhile("health", STREAMS_HTTP_PORT=healthy, STREAMS_HTTP_HOST="0.0.0.0")  # noqa: S104 - as in a container
    assert ended.code == 0


async def test_health_asks_no_proxy(healthy: str) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    ended = await stream_worker_meanwhile(
        "health", STREAMS_HTTP_PORT=healthy, http_proxy=proxy, HTTP_PROXY=proxy, no_proxy=""
    )
    assert ended.code == 0


def test_health_of_no_worker_is_1() -> None:
    port = free_port()
    ended = stream_worker("health", STREAMS_HTTP_PORT=str(port))
    assert ended.code == 1
    assert ended.out == f"unreachable: no answer from 127.0.0.1:{port}: Connection refused\n"


def test_health_that_is_off_is_78() -> None:
    ended = stream_worker("health", STREAMS_HTTP_PORT="0")
    assert (ended.code, ended.err) == (78, "stream-worker: health is off: STREAMS_HTTP_PORT is 0\n")
