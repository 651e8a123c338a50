"""What ends a client that decodes as pamqp does, where it does most harm: first of all, in a row, and again."""

import itertools
import json
from collections import Counter
from typing import Final

import pytest

from devtools.broker import PrivateBroker
from tests.support import raw_amqp as raw
from tests.support.broker_side import Stranger, options
from tests.support.wire import Device, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp.session import apply_topology
from worker.amqp.topology import topology

pytestmark = pytest.mark.slow

IN_A_ROW: Final = 50
RETURNS: Final = 3


async def bury_in_queue(broker: PrivateBroker, namespace: str, count: int) -> list[bytes]:
    """Put so many poisons into the queue of commands, every second one under a routing key that is no UTF-8."""
    await apply_topology(options(broker.url), topology(namespace))
    bodies = [b"poison %d" % number for number in range(count)]
    kinds = zip(
        bodies, itertools.cycle(raw.POISONS.values()), itertools.cycle((b"cam-1", b"\xff" * 255)), strict=False
    )
    async with raw.RawPublisher(broker.url) as publisher:
        for body, (flags, properties), key in kinds:
            header = raw.header(flags, properties, body_size=len(body))
            await publisher.publish(f"{namespace}.commands", key, header, body)
    return bodies


async def letters_when(broker: PrivateBroker, namespace: str, count: int) -> dict[bytes, tuple[str, int]]:
    """Wait for so many dead letters; return the reason and the attempts of each, by its body."""
    async with Undertaker(broker.url, namespace) as undertaker:

        async def all_there() -> bool:
            return await undertaker.depth("dead") >= count

        await eventually(all_there)
        letters = await undertaker.all()
    assert len(letters) == count
    return {
        letter.body: (str(letter.headers["x-streams-reason"]), int(str(letter.headers["x-streams-attempts"])))
        for letter in letters
    }


async def test_poisons_in_a_row_before_the_first_good_command_of_a_workers_life(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    """Consumption starts narrow, and stays so until something is said: a poison is the very first message."""
    bodies = await bury_in_queue(broker, namespace, IN_A_ROW)

    async with WorkerProcess(settings_of(broker.url, namespace, database_url)) as worker:
        async with Device(broker.url, namespace) as device:
            assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"
        letters = await letters_when(broker, namespace, IN_A_ROW)
        log = worker.log

    assert letters.keys() == set(bodies)
    ends = Counter(letters.values())
    # Widening ends a consumer: what is on its way to it comes back, and counts as delivered.
    assert ends[("undecodable", 1)] + ends[("undecodable", 2)] == IN_A_ROW
    assert ends[("undecodable", 2)] <= 1
    assert Counter(json.loads(line)["event"] for line in log.splitlines())["epoch.over"] == 0


async def test_poisons_that_were_delivered_before_are_buried_with_their_count(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    """What the properties say cannot be read, the count of deliveries with them: it was one before, at least."""
    bodies = await bury_in_queue(broker, namespace, len(raw.POISONS))
    await give_back(broker, namespace, len(bodies))

    async with WorkerProcess(settings_of(broker.url, namespace, database_url)) as worker:
        letters = await letters_when(broker, namespace, len(bodies))
        assert worker.log.count("epoch.over") == 0

    assert letters == dict.fromkeys(bodies, ("undecodable", 2))


async def give_back(broker: PrivateBroker, namespace: str, count: int) -> None:
    """Take everything out of the queue of commands and put it back, some times."""
    async with Stranger(broker.url, namespace) as stranger:
        queue = await stranger.channel.get_queue(f"{namespace}.commands", ensure=False)
        for _ in range(RETURNS):
            taken = [await queue.get() for _ in range(count)]
            for message in taken:
                await message.reject(requeue=True)
            await stranger.until_ready("commands", count)


async def test_a_count_of_deliveries_that_a_sender_made_up_ends_no_worker(
    broker: PrivateBroker, namespace: str, database_url: str
) -> None:
    """One more than the largest number there is could not be written into its letter."""
    largest = raw.table((b"x-delivery-count", b"l" + b"\x7f" + b"\xff" * 7))

    async with (
        WorkerProcess(settings_of(broker.url, namespace, database_url)) as worker,
        raw.RawPublisher(broker.url) as publisher,
        Device(broker.url, namespace) as device,
    ):
        await publisher.publish(f"{namespace}.commands", b"k", raw.header(raw.HEADERS, largest, body_size=1), b"?")
        assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"
        letters = await letters_when(broker, namespace, 1)
        assert worker.log.count("epoch.over") == 0

    assert letters == {b"?": ("unknown_command", 1)}
