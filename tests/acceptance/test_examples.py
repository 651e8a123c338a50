"""The examples do what their page says they do, in every language alike."""

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest
import pytest_asyncio

from devtools.project import ROOT
from schemas import Event, EventName, MediaType, write_event
from tests.support.examples import (
    LANGUAGES,
    TEXTS,
    Language,
    lines_about,
    run_example,
    running_example,
    without_codes,
)
from tests.support.fake_worker import an_event
from tests.support.wire import Device, Party, eventually

DEVICE_SAYS, REPEAT_SAYS, REFUSED_SAYS, SUBSCRIBER_SAYS = TEXTS
NAMESPACE = "streams"
PREFETCH = 50  # of each of them

pytestmark = pytest.mark.parametrize("language", LANGUAGES.values(), ids=list(LANGUAGES))


@pytest_asyncio.fixture(loop_scope="session")
async def party(readers_url: str) -> AsyncIterator[Party]:
    async with Party(readers_url, NAMESPACE) as party:
        yield party


@pytest_asyncio.fixture(loop_scope="session")
async def queue(party: Party, language: Language) -> AsyncIterator[str]:
    """A name for a subscriber's queue; the queue too where the subscriber cannot make it."""
    name = f"example-{uuid.uuid4().hex[:8]}"
    if not language.makes_its_queue:
        made = await party.channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
        await made.bind(f"{NAMESPACE}.events", "#")
    yield name
    await party.channel.queue_delete(name)


async def has(url: str, queue: str, *, consumers: int, messages_min: int = 0) -> bool:
    async with Party(url, NAMESPACE) as party:
        try:
            declared = await party.channel.declare_queue(queue, passive=True)
        except aio_pika.exceptions.ChannelNotFoundEntity:
            return False
        found = declared.declaration_result
        return found.consumer_count == consumers and (found.message_count or 0) >= messages_min


async def announce(party: Party, event: Event) -> None:
    """Publish an event in the worker's place."""
    await announce_bytes(party, write_event(event), event.stream.device_id)


async def announce_bytes(party: Party, body: bytes, device_id: str) -> None:
    exchange = await party.channel.get_exchange(f"{NAMESPACE}.events", ensure=False)
    message = aio_pika.Message(body, content_type=MediaType.EVENT, delivery_mode=2)
    await exchange.publish(message, f"{EventName.CREATED}.{device_id}", mandatory=False)


async def stream_and_stop(url: str, device_id: str) -> None:
    async with Device(url, NAMESPACE) as device:
        await device.command("create", device_id=device_id)
        await device.command("stop", device_id=device_id)


async def test_a_device_starts_its_stream_and_ends_it(
    language: Language, readers_url: str, device_id: str
) -> None:
    ended = await run_example(language.device, device_id, url=readers_url)

    assert (ended.code, ended.err) == (0, "")
    assert without_codes(ended.out) == without_codes(DEVICE_SAYS.replace("cam-1", device_id))


async def test_a_device_that_runs_again_with_its_message_id_gets_the_same_stream(
    language: Language, readers_url: str, device_id: str
) -> None:
    message_id = str(uuid.uuid4())
    once = await run_example(language.device, device_id, message_id, url=readers_url)

    twice = await run_example(language.device, device_id, message_id, url=readers_url)

    assert (twice.code, twice.err) == (0, "")
    said, expected = once.out + twice.out, (DEVICE_SAYS + REPEAT_SAYS).replace("cam-1", device_id)
    assert without_codes(said) == without_codes(expected)


async def test_a_device_that_is_refused_says_why_and_fails(language: Language, readers_url: str) -> None:
    ended = await run_example(language.device, "cam 1", url=readers_url)

    assert (ended.code, ended.out, ended.err) == (1, "", REFUSED_SAYS)


async def test_a_subscriber_sees_what_happens_to_a_device_also_while_it_is_away(
    language: Language, readers_url: str, device_id: str, queue: str
) -> None:
    another = f"{device_id}-2"
    async with running_example(language.subscriber, queue, url=readers_url) as printed:
        await eventually(lambda: has(readers_url, queue, consumers=1))
        await stream_and_stop(readers_url, device_id)
        at_once = await lines_about(f" {device_id} ", printed, 2)
    await eventually(lambda: has(readers_url, queue, consumers=0))
    await stream_and_stop(readers_url, another)

    async with running_example(language.subscriber, queue, url=readers_url) as printed:
        later = await lines_about(f" {another} ", printed, 2)

    assert without_codes("".join(at_once)) == without_codes(SUBSCRIBER_SAYS.replace("cam-1", device_id))
    assert without_codes("".join(later)) == without_codes(SUBSCRIBER_SAYS.replace("cam-1", another))


async def test_a_subscriber_acknowledges_drops_repeats_and_tells_gaps(
    language: Language, readers_url: str, device_id: str, party: Party, queue: str
) -> None:
    numbers = range(1, PREFETCH // 2 + 2)  # twice each, so one that acknowledged nothing would get no further
    last = numbers[-1] + 3
    async with running_example(language.subscriber, queue, url=readers_url) as printed:
        await eventually(lambda: has(readers_url, queue, consumers=1))
        for number in numbers:
            event = an_event(device_id, number)
            await announce(party, event)
            await announce(party, event)
        await announce(party, an_event(device_id, last))

        lines = await lines_about(device_id, printed, len(numbers) + 2)

    code = an_event(device_id, 1).stream.code
    seen = [*numbers, last]
    expected = [f"{number} stream.created {device_id} {code}\n" for number in seen]
    assert lines == [*expected[:-1], f"missed 2 of {device_id}\n", expected[-1]]


async def test_a_subscriber_counts_beyond_what_a_double_can(
    language: Language, readers_url: str, device_id: str, party: Party, queue: str
) -> None:
    numbers = [2**53 + 1, 2**53 + 2, 2**63 - 1]  # the first and the last would be rounded
    async with running_example(language.subscriber, queue, url=readers_url) as printed:
        await eventually(lambda: has(readers_url, queue, consumers=1))
        for number in numbers:
            await announce(party, an_event(device_id, number))

        lines = await lines_about(device_id, printed, len(numbers) + 1)

    first, second, last = (
        f"{number} stream.created {device_id} {an_event(device_id, number).stream.code}\n" for number in numbers
    )
    assert lines == [first, second, f"missed {2**63 - 2**53 - 4} of {device_id}\n", last]


async def test_a_subscriber_takes_an_event_that_comes_late(
    language: Language, readers_url: str, device_id: str, party: Party, queue: str
) -> None:
    first, late, early, next_one = (an_event(device_id, number) for number in range(1, 5))
    async with running_example(language.subscriber, queue, url=readers_url) as printed:
        await eventually(lambda: has(readers_url, queue, consumers=1))
        for event in (first, early, late, early, late, next_one):
            await announce(party, event)

        lines = await lines_about(device_id, printed, 5)

    expected = [f"{number} stream.created {device_id} {first.stream.code}\n" for number in (1, 3, 2, 4)]
    assert lines == [expected[0], f"missed 1 of {device_id}\n", *expected[1:]]


async def test_a_subscriber_does_not_acknowledge_what_it_cannot_handle(
    language: Language, readers_url: str, device_id: str, party: Party, queue: str
) -> None:
    async with running_example(language.subscriber, queue, url=readers_url) as printed:
        await eventually(lambda: has(readers_url, queue, consumers=1))
        await announce_bytes(party, b"no event", device_id)
        await announce(party, an_event(device_id, 1))

        if language.ends_by_what_it_cannot_read:
            assert device_id not in (await printed.read()).decode()
            await eventually(lambda: has(readers_url, queue, consumers=0, messages_min=2))
        else:
            assert await lines_about(device_id, printed, 1)


async def test_a_subscriber_leaves_nothing_behind(
    language: Language, readers_url: str, device_id: str, party: Party, queue: str, tmp_path: Path
) -> None:
    async with running_example(language.subscriber, queue, url=readers_url, TMPDIR=str(tmp_path)) as printed:
        await eventually(lambda: has(readers_url, queue, consumers=1))
        await announce(party, an_event(device_id, 1))
        await lines_about(device_id, printed, 1)

    assert await asyncio.to_thread(lambda: list(tmp_path.iterdir())) == []


async def test_a_subscriber_without_a_queue_of_its_own_sees_what_happens_from_now_on(
    language: Language, readers_url: str, device_id: str, party: Party
) -> None:
    async with running_example(language.subscriber, url=readers_url) as printed:
        seen = asyncio.create_task(lines_about(device_id, printed, 1))
        numbers = itertools.count(1)
        while not seen.done():  # until its queue is bound nobody keeps them
            await announce(party, an_event(device_id, next(numbers)))
            await asyncio.wait({seen}, timeout=0.1)

    (line,) = await seen
    assert line.endswith(f" stream.created {device_id} {an_event(device_id, 1).stream.code}\n")
    if language.makes_its_queue:
        await party.channel.queue_delete(f"example-{language.name}")


def test_every_example_is_in_the_table(language: Language) -> None:
    commands = language.device + language.subscriber
    files = [
        path for path in (ROOT / "examples" / language.name).iterdir() if path.suffix in {".py", ".js", ".sh"}
    ]

    assert all(f"examples/{language.name}/{path.name}" in commands for path in files)
    assert set(LANGUAGES) == {"python", "pika", "node", "shell"}
