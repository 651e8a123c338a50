"""The broker's bad days, one thing at a time: what it loses, refuses and forgets. Nobody is alive but deaf."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import aio_pika
import pytest

from devtools.broker import PrivateBroker
from tests.support.bad_day import BadDay, bad_day
from tests.support.broker_side import Stranger, options
from tests.support.command_line import stream_worker_meanwhile
from tests.support.wire import Device, Subscriber, eventually
from worker.amqp.session import apply_topology
from worker.amqp.topology import topology

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def harmed() -> Iterator[PrivateBroker]:
    """A node whose settings these tests change."""
    with PrivateBroker() as node:
        yield node


@pytest.fixture
async def day(harmed: PrivateBroker, namespace: str, tmp_path: Path) -> AsyncIterator[BadDay]:
    async with bad_day(harmed, namespace, tmp_path) as day:
        yield day


@pytest.fixture
async def stranger(harmed: PrivateBroker, namespace: str) -> AsyncIterator[Stranger]:
    async with Stranger(harmed.url, namespace) as stranger:
        yield stranger


async def evaluate(broker: PrivateBroker, erlang: str) -> str:
    return await asyncio.to_thread(broker.ctl, "eval", erlang)


async def test_the_command_queue_deleted_is_made_again(day: BadDay, stranger: Stranger) -> None:
    await stranger.channel.queue_delete(f"{day.namespace}.commands")

    await day.until_an_epoch_ends("was the queue deleted?")
    await day.assert_it_works()


async def test_the_command_queue_deleted_is_waited_for_where_it_may_only_be_looked_at(
    harmed: PrivateBroker, namespace: str, stranger: Stranger, tmp_path: Path
) -> None:
    await apply_topology(options(harmed.url), topology(namespace))
    async with bad_day(harmed, namespace, tmp_path, STREAMS_TOPOLOGY="check") as day:
        await stranger.channel.queue_delete(f"{namespace}.commands")

        await day.until_not_ready()
        await day.until_an_epoch_ends(f"Missing on the broker: queue {namespace}.commands")
        assert (await day.worker.readiness())[0] == 503
        applied = await stream_worker_meanwhile("topology", "apply", **day.settings)

        assert applied.code == 0, applied.err
        await day.assert_it_works()


@pytest.mark.parametrize("kind", ["commands", "events", "dead"])
async def test_an_exchange_deleted_is_made_again(day: BadDay, stranger: Stranger, kind: str) -> None:
    await stranger.channel.exchange_delete(f"{day.namespace}.{kind}")

    await day.until_an_epoch_ends(f"the exchange {day.namespace}.{kind} is not there")
    await day.assert_it_works()


async def test_an_exchange_deleted_is_waited_for_where_it_may_only_be_looked_at(
    harmed: PrivateBroker, namespace: str, stranger: Stranger, tmp_path: Path
) -> None:
    await apply_topology(options(harmed.url), topology(namespace))
    async with bad_day(harmed, namespace, tmp_path, STREAMS_TOPOLOGY="check") as day:
        await stranger.channel.exchange_delete(f"{namespace}.commands")

        await day.until_not_ready()
        await apply_topology(options(harmed.url), topology(namespace))

        await day.assert_it_works()


async def test_the_queue_of_dead_letters_deleted_is_made_again(day: BadDay, stranger: Stranger) -> None:
    await stranger.channel.queue_delete(f"{day.namespace}.dead")

    await day.until_an_epoch_ends(f"the queue {day.namespace}.dead is not there")
    await day.assert_it_works()


async def test_a_queue_that_somebody_deletes_and_makes_again_at_once_is_consumed_again(
    day: BadDay, stranger: Stranger
) -> None:
    """RabbitMQ 3.10 then moves the consumer over without a word, and what it delivers to it is lost on the way."""
    name = f"{day.namespace}.commands"
    (wanted,) = [queue for queue in topology(day.namespace).queues if queue.name == name]
    await stranger.channel.queue_delete(name)
    made = await stranger.channel.declare_queue(name, durable=True, arguments=dict(wanted.arguments))
    await made.bind(name, "#")

    async with Device(day.broker.url, day.namespace) as device:
        asking = (device.command("create", device_id=f"cam-{number}") for number in range(2))
        answers = await asyncio.gather(*asking)
    assert [answer["outcome"] for answer in answers] == ["created", "created"]
    await day.assert_it_works()


async def test_a_channel_error_ends_the_epoch_and_no_more(day: BadDay) -> None:
    consuming = "rabbit_channel:info(C, [consumer_count]) =:= [{consumer_count, 1}]"
    wrong = "{'basic.ack', 9999, false}"
    await evaluate(
        day.broker, f"[rabbit_channel:do(C, {wrong}) || C <- rabbit_channel:list_local(), {consuming}]."
    )

    await day.until_an_epoch_ends("unknown delivery tag")
    await day.assert_it_works()


async def test_connections_that_are_closed_by_an_operator_come_back(day: BadDay) -> None:
    await asyncio.to_thread(day.broker.ctl, "close_all_connections", "tested")

    await day.until_an_epoch_ends("CONNECTION_FORCED")
    await day.assert_it_works()


async def test_a_delivery_held_beyond_the_consumer_timeout_is_answered_afterwards(
    harmed: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    await evaluate(harmed, "application:set_env(rabbit, channel_tick_interval, 500).")
    await evaluate(harmed, "application:set_env(rabbit, consumer_timeout, 1000).")
    try:
        async with bad_day(harmed, namespace, tmp_path) as day, Device(harmed.url, namespace) as device:
            with closing(sqlite3.connect(tmp_path / "streams.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                asking = asyncio.create_task(device.command("create", message_id="m-1", device_id="cam-1"))
                await day.until_an_epoch_ends("PRECONDITION_FAILED - delivery acknowledgement")
                await day.until_not_ready()
                other.execute("ROLLBACK")

            assert (await asking)["outcome"] == "created"
            await day.assert_it_works()
    finally:
        await evaluate(harmed, "application:set_env(rabbit, consumer_timeout, 1800000).")
        await evaluate(harmed, "application:set_env(rabbit, channel_tick_interval, 60000).")


async def test_under_a_memory_alarm_it_is_not_ready_and_afterwards_it_is(day: BadDay) -> None:
    await asyncio.to_thread(day.broker.run_out_of_memory)
    try:
        await day.until_not_ready()
        await day.until_an_epoch_ends("is a memory or disk alarm on?")
        assert (await day.worker.readiness())[0] == 503
    finally:
        await asyncio.to_thread(day.broker.have_memory_again)

    await day.assert_it_works()


async def test_a_reply_queue_that_is_full_or_gone_costs_nobody_else_anything(
    day: BadDay, stranger: Stranger
) -> None:
    full, gone = f"{day.namespace}.reply.full", f"{day.namespace}.reply.gone"
    queue = await stranger.channel.declare_queue(
        full, auto_delete=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    for number in range(10):
        for address in (full, gone):
            await stranger.send(
                b'{"device_id": "cam-%d"}' % number, reply_to=address, message_id=f"m-{number}-{address}"
            )
    await day.assert_it_works()
    await stranger.until_ready("commands", 0)

    await queue.purge()
    await stranger.send(b'{"device_id": "cam-9"}', reply_to=full, message_id=f"m-9-{full}")

    asked_again = await stranger.get(full)
    assert b'"created"' in asked_again.body
    assert asked_again.correlation_id == f"m-9-{full}"


async def test_a_subscriber_whose_queue_is_full_gets_its_events_later_and_the_others_at_once(
    day: BadDay, stranger: Stranger
) -> None:
    slow = await stranger.channel.declare_queue(
        exclusive=True, arguments={"x-max-length": 1, "x-overflow": "reject-publish"}
    )
    await slow.bind(f"{day.namespace}.events", "#.cam-slow")
    async with Subscriber(day.broker.url, day.namespace) as quick, Device(day.broker.url, day.namespace) as device:
        for command in ("create", "stop") * 3:
            await device.command(command, device_id="cam-slow")
        await device.command("create", device_id="cam-quick")
        await quick.of_device("cam-quick", 1)

        heard: list[int] = []

        async def look() -> bool:
            with suppress(aio_pika.exceptions.QueueEmpty):
                message = await slow.get(no_ack=True)
                heard.append(int(json.loads(message.body)["sequence"]))
            return set(heard) >= set(range(1, 7))

        await eventually(look)
    firsts = list(dict.fromkeys(heard))
    assert firsts == [1, 2, 3, 4, 5, 6]


async def test_a_queue_that_lost_its_leader_is_said_and_consumed_again_once_it_has_one(day: BadDay) -> None:
    server = f"quorum_queues, {{'%2F_{day.namespace}.commands', node()}}"
    await evaluate(day.broker, f"ra:stop_server({server}).")
    try:
        await day.until_not_ready()
        await day.until_an_epoch_ends("has the queue lost its leader?")
        await day.until_an_epoch_ends(f"consuming from {day.namespace}.commands:")
        assert (await day.worker.readiness())[0] == 503
    finally:
        await evaluate(day.broker, f"ra:restart_server({server}).")

    await day.assert_it_works()


async def test_a_full_queue_of_dead_letters_holds_nobody_up_and_gets_them_once_it_is_emptied(
    harmed: PrivateBroker, namespace: str, stranger: Stranger, tmp_path: Path
) -> None:
    """What it refuses is given to the broker, which tries every three minutes; here, every second."""
    retry = "dead_letter_worker_publisher_confirm_timeout"
    await evaluate(harmed, f"application:set_env(rabbit, {retry}, 1000).")
    full = '{"max-length": 1, "overflow": "reject-publish"}'
    await asyncio.to_thread(harmed.ctl, "set_policy", namespace, f"^{namespace}.dead$", full)
    try:
        async with bad_day(harmed, namespace, tmp_path) as day:
            for number in range(6):
                await stranger.send(b"no JSON %d" % number, message_id=f"m-{number}")
            await day.until_logged("dead_letter.given_to_broker")
            await day.assert_it_works()

            bodies: set[bytes] = set()
            while len(bodies) < 6:
                bodies.add((await stranger.get(f"{namespace}.dead")).body)
            assert bodies == {b"no JSON %d" % number for number in range(6)}
            await stranger.until_ready("commands", 0)
    finally:
        await asyncio.to_thread(harmed.ctl, "clear_policy", namespace)
        # Its own default. Unset it would end the dead-lettering of every queue on the node.
        await evaluate(harmed, f"application:set_env(rabbit, {retry}, 180000).")
