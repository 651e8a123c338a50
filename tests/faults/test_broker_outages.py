"""The broker away as a whole: killed, frozen, unreachable. Nobody is ready meanwhile, and all comes back alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from tests.support.bad_day import BadDay, bad_day
from tests.support.broker_side import Stranger
from tests.support.line_faults import Side
from tests.support.proxy import Proxy
from tests.support.wire import Device

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

OLD_ENOUGH_S = 1.5  # of a quorum queue, to be there after its broker is killed
SLACK_S = 10.0  # for a busy machine


@pytest.fixture(scope="module")
def harmed() -> Iterator[PrivateBroker]:
    """A node that is killed and frozen."""
    with PrivateBroker() as node:
        yield node


@pytest.fixture
async def day(harmed: PrivateBroker, namespace: str, tmp_path: Path) -> AsyncIterator[BadDay]:
    async with bad_day(harmed, namespace, tmp_path) as day:
        yield day


async def test_a_broker_that_is_killed_and_started_again(day: BadDay) -> None:
    await day.assert_it_works()
    await asyncio.sleep(OLD_ENOUGH_S)
    await asyncio.to_thread(day.broker.kill)
    try:
        await day.until_not_ready()
        await day.until_an_epoch_ends("connecting to the broker")
        assert (await day.worker.readiness())[0] == 503
    finally:
        await asyncio.to_thread(day.broker.start)

    await day.assert_it_works()


async def test_a_broker_that_is_frozen_beyond_the_heartbeat(day: BadDay) -> None:
    await day.assert_it_works()
    await asyncio.to_thread(day.broker.pause)
    try:
        await day.until_not_ready()
        await day.until_an_epoch_ends("no answer within")
        await day.until_an_epoch_ends("connecting to the broker: no answer")  # and again: it hangs nowhere
        assert (await day.worker.readiness())[0] == 503
    finally:
        await asyncio.to_thread(day.broker.resume)

    await day.assert_it_works()


async def test_what_was_in_hand_when_the_broker_froze_is_answered_afterwards(day: BadDay) -> None:
    async with Stranger(day.broker.url, day.namespace) as stranger:
        replies = await stranger.channel.declare_queue(f"{day.namespace}.reply.late", auto_delete=True)
        bodies = [b'{"device_id": "cam-%d"}' % number for number in range(300)]
        for number, body in enumerate(bodies):
            await stranger.send(body, reply_to=replies.name, message_id=f"m-{number}")
        await asyncio.to_thread(day.broker.pause)
        try:
            await day.until_not_ready()
        finally:
            await asyncio.to_thread(day.broker.resume)

        answered: set[str | None] = set()
        while len(answered) < len(bodies):
            answered.add((await stranger.get(replies.name)).correlation_id)
    await day.assert_it_works()


@pytest.mark.parametrize(
    "trouble",
    ["frozen", "killed", "alarmed"],
)
async def test_told_to_stop_while_the_broker_is_of_no_use_it_goes_in_time(
    harmed: PrivateBroker, namespace: str, tmp_path: Path, trouble: str
) -> None:
    harm, mend = _TROUBLES[trouble]
    async with bad_day(harmed, namespace, tmp_path, STREAMS_DRAIN_TIMEOUT_S="3") as day:
        async with Device(harmed.url, namespace) as device:
            await device.command("create", device_id="cam-1")
        await asyncio.to_thread(harm, harmed)
        try:
            await day.until_not_ready()
            began_s = time.monotonic()
            assert await day.worker.stop() == 0
            assert time.monotonic() - began_s < 3 + SLACK_S
        finally:
            await asyncio.to_thread(mend, harmed)


_TROUBLES: dict[str, tuple[Callable[[PrivateBroker], object], Callable[[PrivateBroker], object]]] = {
    "frozen": (PrivateBroker.pause, PrivateBroker.resume),
    "killed": (PrivateBroker.kill, PrivateBroker.start),
    "alarmed": (PrivateBroker.run_out_of_memory, PrivateBroker.have_memory_again),
}


@pytest.mark.parametrize(
    ("kind", "side"),
    [
        ("consume", "to_server"),
        ("consume", "to_client"),
        ("publish", "to_server"),
        ("publish", "to_client"),
    ],
)
async def test_a_connection_that_is_dead_in_one_direction_is_noticed_and_replaced(
    harmed: PrivateBroker, namespace: str, tmp_path: Path, kind: str, side: Side
) -> None:
    async with (
        Proxy(harmed.url, is_tapped=True) as proxy,
        bad_day(harmed, namespace, tmp_path, url=proxy.url) as day,
    ):
        proxy.of(kind).present().swallow(side)

        await day.until_not_ready()
        await day.assert_it_works()
