"""The examples in the client's own documentation, run as they are printed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import cleandoc
from pathlib import Path
from textwrap import dedent

import stream_client
from devtools.broker import PrivateBroker
from tests.support.command_line import environment
from tests.support.fake_worker import WITHIN_S, FakeWorker, an_event
from tests.support.wire import eventually
from worker.amqp.topology import EventLog

URL = 'os.environ["STREAMS_AMQP_URL"]'


def example(number: int) -> str:
    """Return one of the indented blocks that follow a double colon."""
    _, *after = cleandoc(stream_client.__doc__ or "").split("::\n")
    lines = after[number].splitlines()
    return dedent("\n".join(line for line in lines if line.startswith("    ") or not line))


def in_namespace(source: str, namespace: str) -> str:
    """Keep an example to a test's own corner of the broker."""
    assert URL in source
    mine = source.replace(URL, f"{URL}, namespace={namespace!r}")
    assert source.count("\nasyncio.run(") == 1
    return mine.replace('queue="billing"', f'queue="{namespace}.billing"')


@asynccontextmanager
async def running(source: str, worker: FakeWorker, broker: PrivateBroker) -> AsyncIterator[asyncio.StreamReader]:
    """Run an example as a program, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-uc",
        in_namespace(source, worker.namespace),
        env=environment(STREAMS_AMQP_URL=broker.url),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            assert process.stdout is not None
            yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_device_of_the_documentation_gets_its_stream_and_ends_it(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    async with running(example(0), worker, broker) as output:
        assert await output.read() == b"created 7K3M9QXA\n"

    asked = [worker.received.get_nowait() for _ in range(worker.received.qsize())]
    assert [command.type for command in asked] == ["stream.create", "stream.stop"]


async def test_the_subscriber_of_the_documentation_sees_each_event_once(
    broker: PrivateBroker, worker: FakeWorker
) -> None:
    async with running(example(1), worker, broker) as output:
        line = asyncio.create_task(output.readline())
        while not line.done():  # until its queue is bound nobody keeps them
            await worker.publish(an_event("cam-1", 1))
            await asyncio.wait({line}, timeout=0.1)
        await worker.publish(an_event("cam-1", 2, stopped=True))

        assert await line == b"1 stream.created cam-1\n"
        assert await output.readline() == b"2 stream.stopped cam-1\n"
    await worker.channel.queue_delete(f"{worker.namespace}.billing")


async def test_the_latecomer_of_the_documentation_goes_on_where_it_was(
    broker: PrivateBroker, worker: FakeWorker, tmp_path: Path
) -> None:
    name = f"{worker.namespace}.events.log"
    queue = await worker.channel.declare_queue(
        name, durable=True, arguments=EventLog(bytes_max=20_000_000, retention_s=3_600).arguments
    )
    await queue.bind(f"{worker.namespace}.events", "#")
    place = tmp_path / "place.txt"
    source = example(2).replace('Path("place.txt")', f"Path({str(place)!r})")

    async def is_kept() -> bool:
        return place.exists() and place.read_text() == "1"

    await worker.publish(an_event("cam-1", 1))
    async with running(source, worker, broker) as output:
        assert await output.readline() == b"1 stream.created cam-1\n"
        await eventually(is_kept)

    await worker.publish(an_event("cam-1", 2, stopped=True))
    async with running(source, worker, broker) as output:
        assert await output.readline() == b"2 stream.stopped cam-1\n"
    await worker.channel.queue_delete(name)


def test_no_example_of_the_documentation_is_left_out() -> None:
    assert (stream_client.__doc__ or "").count("::\n") == 3
