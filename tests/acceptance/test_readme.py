"""The README's examples do what it says they do, with the worker and the names that its reader has."""

import asyncio
import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aio_pika
import pytest
import pytest_asyncio

from devtools.broker import PrivateBroker
from tests.support.command_line import ENDS_WITHIN_S, environment, stream_worker_meanwhile
from tests.support.wire import Party, eventually
from tests.support.worker_process import WorkerProcess, settings_of

README: Final = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PYTHON: Final = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
OUTPUT: Final = re.compile(r"^```text\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
CONSOLE: Final = re.compile(r"^```console\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
CODE: Final = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{8}\b")
UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

NAMESPACE: Final = "streams"
SUBSCRIPTION: Final = "billing"


def alike(text: str) -> str:
    """A text without what is another each time, but with what is the same within it."""
    for name, pattern in (("CODE", CODE), ("UUID", UUID)):
        for number, found in enumerate(dict.fromkeys(pattern.findall(text))):
            text = text.replace(found, f"<{name} {number}>")
    return text


def steps() -> list[tuple[str, str]]:
    """Each command of the console example with what it prints."""
    (block,) = CONSOLE.findall(README)
    parts = [part.partition("\n") for part in block.removeprefix("$ ").split("\n$ ")]
    return [(typed, printed.strip()) for typed, _, printed in parts]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def url(broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a broker whose worker has every default that a reader's has, but for its files and ports."""
    database_url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/streams.db"
    try:
        async with WorkerProcess(settings_of(broker.url, NAMESPACE, database_url)):
            yield broker.url
    finally:
        async with Party(broker.url, NAMESPACE) as sweeper:
            for queue in (f"{NAMESPACE}.commands", f"{NAMESPACE}.dead", SUBSCRIPTION):
                await sweeper.channel.queue_delete(queue)
            for kind in ("commands", "events", "dead"):
                await sweeper.channel.exchange_delete(f"{NAMESPACE}.{kind}")


async def start(program: str, url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        env=environment(STREAMS_AMQP_URL=url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def is_heard(url: str) -> bool:
    """Whether somebody consumes the subscriber's queue."""
    async with Party(url, NAMESPACE) as party:
        try:
            queue = await party.channel.declare_queue(SUBSCRIPTION, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        return bool(queue.declaration_result.consumer_count)


async def test_the_console_example(url: str) -> None:
    code_of_readme, code = "", ""
    for typed, printed in steps():
        program, *arguments = shlex.split(typed.replace(code_of_readme, code) if code else typed)
        assert program == ".venv/bin/stream-worker"

        ended = await stream_worker_meanwhile(*arguments, STREAMS_AMQP_URL=url)

        assert ended.code == 0, ended.err
        assert alike(ended.out.strip()) == alike(printed)
        code_of_readme, code = (as_typed(CODE.findall(text)[0]) for text in (printed, ended.out))


def as_typed(code: str) -> str:
    """A code as a person writes it down."""
    return f"{code[:4]}-{code[4:]}".lower()


async def test_the_device_and_the_subscriber(url: str) -> None:
    device, subscriber = PYTHON.findall(README)
    said_by_device, said_by_subscriber = OUTPUT.findall(README)
    listening = await start(subscriber, url)
    try:
        await eventually(lambda: is_heard(url))
        asking = await start(device, url)
        async with asyncio.timeout(ENDS_WITHIN_S):
            out, err = await asking.communicate()
            assert listening.stdout is not None
            heard = [await listening.stdout.readline() for _ in said_by_subscriber.splitlines()]
    finally:
        listening.terminate()
        await listening.communicate()

    assert (asking.returncode, err) == (0, b"")
    assert alike(out.decode()) == alike(said_by_device)
    assert b"".join(heard).decode() == said_by_subscriber


@pytest.mark.parametrize("line", re.findall(r"^stream-worker ([a-z ]+?)(?: cam-1)? +#", README, re.MULTILINE))
async def test_a_command_that_the_readme_names_is_there(line: str) -> None:
    ended = await stream_worker_meanwhile(*line.split(), "--help")

    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"Usage: stream-worker {line}") or f"{line} " in ended.out
