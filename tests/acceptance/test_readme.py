"""The README's examples do what it says they do, with the worker and the names that its reader has."""

import asyncio
import re
import shlex
import sys
from pathlib import Path
from typing import Final

import aio_pika
import pytest

from tests.support.command_line import ENDS_WITHIN_S, environment, stream_worker_meanwhile
from tests.support.wire import Party, eventually

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


async def test_the_console_example(readers_url: str) -> None:
    code_of_readme, code = "", ""
    for typed, printed in steps():
        program, *arguments = shlex.split(typed.replace(code_of_readme, code) if code else typed)
        assert program == ".venv/bin/stream-worker"

        ended = await stream_worker_meanwhile(*arguments, STREAMS_AMQP_URL=readers_url)

        assert ended.code == 0, ended.err
        assert alike(ended.out.strip()) == alike(printed)
        code_of_readme, code = (as_typed(CODE.findall(text)[0]) for text in (printed, ended.out))


def as_typed(code: str) -> str:
    """A code as a person writes it down."""
    return f"{code[:4]}-{code[4:]}".lower()


async def test_the_device_and_the_subscriber(readers_url: str) -> None:
    device, subscriber = PYTHON.findall(README)
    said_by_device, said_by_subscriber = OUTPUT.findall(README)
    listening = await start(subscriber, readers_url)
    try:
        await eventually(lambda: is_heard(readers_url))
        asking = await start(device, readers_url)
        async with asyncio.timeout(ENDS_WITHIN_S):
            out, err = await asking.communicate()
            assert listening.stdout is not None
            heard = [await listening.stdout.readline() for _ in said_by_subscriber.splitlines()]
    finally:
        listening.terminate()
        await listening.communicate()
        async with Party(readers_url, NAMESPACE) as sweeper:
            await sweeper.channel.queue_delete(SUBSCRIPTION)

    assert (asking.returncode, err) == (0, b"")
    assert alike(out.decode()) == alike(said_by_device)
    assert b"".join(heard).decode() == said_by_subscriber


@pytest.mark.parametrize("line", re.findall(r"^stream-worker ([a-z ]+?)(?: cam-1)? +#", README, re.MULTILINE))
async def test_a_command_that_the_readme_names_is_there(line: str) -> None:
    ended = await stream_worker_meanwhile(*line.split(), "--help")

    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"Usage: stream-worker {line}") or f"{line} " in ended.out
