"""Two workers on one PostgreSQL: what holds with one holds with both."""

import asyncio
import json
import random
import uuid
from collections import Counter, defaultdict
from typing import Any

from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.support.wire import Device, Subscriber
from tests.support.worker_process import WorkerProcess, settings_of

DEVICES = 100
COMMANDS_OF_EACH = 50
IN_FLIGHT_OF_EACH = 20


def first_appearances(heard: list[AbstractIncomingMessage]) -> dict[str, list[dict[str, Any]]]:
    """The events of each device in the order in which a subscriber first sees them, without what comes again."""
    seen: dict[str, dict[str, Any]] = {}
    by_device: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    bodies: dict[str, bytes] = {}
    for message in heard:
        event = json.loads(message.body)
        assert bodies.setdefault(event["id"], message.body) == message.body, "one fact, two texts"
        if event["id"] not in seen:
            seen[event["id"]] = event
            by_device[event["data"]["stream"]["device_id"]].append(event)
    return by_device


async def run_device(device: Device, device_id: str, rng: random.Random) -> list[dict[str, Any]]:
    """Send commands of one device, so many at a time, and return the replies."""
    slots = asyncio.Semaphore(IN_FLIGHT_OF_EACH)

    async def one() -> dict[str, Any]:
        async with slots:
            kind = rng.choice(["create", "create", "create", "stop", "get"])
            return await device.command(kind, device_id=device_id, message_id=uuid.uuid4().hex)

    return list(await asyncio.gather(*(one() for _ in range(COMMANDS_OF_EACH))))


def carried_out_something(worker: WorkerProcess) -> bool:
    """A worker consumes one by one until its first batch has gone all the way, and only then widely."""
    lines = [json.loads(line) for line in worker.log_at_exit.splitlines()]
    return any(line["event"] == "consumer.started" and line["prefetch"] > 1 for line in lines)


async def test_100_devices_5000_commands_20_in_flight_each(
    broker: PrivateBroker, postgres: PrivatePostgres, namespace: str
) -> None:
    postgres.create_database(namespace)
    settings = settings_of(broker.url, namespace, postgres.url(namespace))
    rng = random.Random(20260112)
    names = [f"cam-{number}" for number in range(DEVICES)]
    async with (
        WorkerProcess(settings) as one,
        WorkerProcess(settings) as other,
        Subscriber(broker.url, namespace) as subscriber,
        Device(broker.url, namespace) as device,
    ):
        replies = await asyncio.gather(*(run_device(device, name, rng) for name in names))
        changes = {
            name: Counter(reply.get("outcome") for reply in of_one)
            for name, of_one in zip(names, replies, strict=True)
        }
        wanted = {name: count["created"] + count["stopped"] for name, count in changes.items()}
        heard = await subscriber.until(
            lambda messages: len({message.message_id for message in messages}) >= sum(wanted.values())
        )

    assert carried_out_something(one), "the test is about two"
    assert carried_out_something(other), "the test is about two"
    assert sum(len(of_one) for of_one in replies) == DEVICES * COMMANDS_OF_EACH
    assert all(reply.get("code", "not_found") == "not_found" for of_one in replies for reply in of_one)
    history = first_appearances(heard)
    for name in names:
        sequences = [int(event["sequence"]) for event in history[name]]
        assert sequences == list(range(1, wanted[name] + 1)), name
        kinds = [event["type"] for event in history[name]]
        assert kinds == (["stream.created", "stream.stopped"] * len(kinds))[: len(kinds)], "two active at once"
