"""The broker restarted, and the worker killed, in the middle of 2,000 commands."""

import asyncio
import contextlib
import json
import random
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from stream_client.connection import PlainConnection
from tests.support.wire import eventually
from tests.support.worker_process import WorkerProcess, settings_of

pytestmark = pytest.mark.slow

COMMANDS = 2_000
DEVICES = 50
ANSWERED_WITHIN_S = 90.0


async def _acknowledge(message: AbstractIncomingMessage) -> None:
    """Say that it was noted. Where the connection is gone, it comes again, and is noted again."""
    with contextlib.suppress(aio_pika.exceptions.AMQPError, OSError, RuntimeError):
        await message.ack()


class History:
    """What devices asked and were answered, and what a subscriber with a durable queue heard."""

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self.asked: dict[str, bytes] = {}
        self.answers: defaultdict[str, set[bytes]] = defaultdict(set)
        self.heard: list[AbstractIncomingMessage] = []
        rng = random.Random(7)
        for _ in range(COMMANDS):
            kind = rng.choice(["create", "create", "stop", "get"])
            body = json.dumps({"kind": kind, "device_id": f"cam-{rng.randrange(DEVICES)}"}).encode()
            self.asked[uuid.uuid4().hex] = body

    async def declare(self) -> None:
        """Make durable queues: what was confirmed must be there after the broker's restart."""
        connection = await aio_pika.connect(self._url)
        async with connection:
            channel = await connection.channel()
            quorum = {"x-queue-type": "quorum"}
            await channel.declare_queue(f"{self._namespace}.reply.all", durable=True, arguments=quorum)
            events = await channel.declare_queue(f"{self._namespace}.heard", durable=True, arguments=quorum)
            await events.bind(f"{self._namespace}.events", "#")

    async def ask_all(self, *, pace_s: float) -> None:
        """Publish each command until the broker has confirmed it, as a careful device does."""
        todo = dict(self.asked)
        while todo:
            try:
                await self._ask(todo, pace_s)
            except (aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError):
                await asyncio.sleep(0.2)

    async def _ask(self, todo: dict[str, bytes], pace_s: float) -> None:
        connection = await aio_pika.connect(self._url, timeout=5, connection_class=PlainConnection)
        async with connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange(f"{self._namespace}.commands", ensure=False)
            for message_id, body in list(todo.items()):
                message = aio_pika.Message(
                    body,
                    type=f"stream.{json.loads(body)['kind']}",
                    message_id=message_id,
                    reply_to=f"{self._namespace}.reply.all",
                    content_type="application/json",
                    delivery_mode=2,
                )
                await exchange.publish(message, "any", timeout=5)
                del todo[message_id]
                await asyncio.sleep(pace_s)

    async def collect(self) -> None:
        """Hear replies and events for ever."""
        while True:
            try:
                connection = await aio_pika.connect(self._url, timeout=5, connection_class=PlainConnection)
                lost = asyncio.Event()
                connection.close_callbacks.add(lambda *_, lost=lost: lost.set())
                async with connection:
                    channel = await connection.channel()
                    await channel.set_qos(prefetch_count=200)
                    for name, hear in (("reply.all", self._hear_reply), ("heard", self._hear_event)):
                        queue = await channel.get_queue(f"{self._namespace}.{name}", ensure=False)
                        await queue.consume(hear)
                    await lost.wait()
            except (aio_pika.exceptions.AMQPError, OSError, TimeoutError):
                await asyncio.sleep(0.2)

    async def _hear_reply(self, message: AbstractIncomingMessage) -> None:
        self.answers[message.correlation_id or ""].add(message.body)
        await _acknowledge(message)

    async def _hear_event(self, message: AbstractIncomingMessage) -> None:
        self.heard.append(message)
        await _acknowledge(message)

    async def _is_answered(self) -> bool:
        return set(self.answers) >= set(self.asked)

    async def settled(self) -> None:
        """Wait until every command has an answer and every change an event."""
        await eventually(self._is_answered, within_s=ANSWERED_WITHIN_S)

        async def all_heard() -> bool:
            return len({message.message_id for message in self.heard}) >= self.changes

        await eventually(all_heard, within_s=ANSWERED_WITHIN_S)

    @property
    def changes(self) -> int:
        """How many answers speak of a change."""
        outcomes = [json.loads(body).get("outcome") for bodies in self.answers.values() for body in bodies]
        return sum(outcome in ("created", "stopped") for outcome in outcomes)

    def check(self) -> None:
        """Every command one answer; every device a gapless, alternating history; nothing that was not answered."""
        assert set(self.answers) == set(self.asked)
        assert all(len(bodies) == 1 for bodies in self.answers.values()), "two different answers"
        firsts: dict[str, dict[str, Any]] = {}
        by_device: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for message in self.heard:
            event = json.loads(message.body)
            if event["id"] not in firsts:
                firsts[event["id"]] = event
                by_device[event["data"]["stream"]["device_id"]].append(event)
        for device_id, events in by_device.items():
            assert [int(e["sequence"]) for e in events] == list(range(1, len(events) + 1)), device_id
            kinds = [e["type"] for e in events]
            assert kinds == (["stream.created", "stream.stopped"] * len(kinds))[: len(kinds)], device_id
        assert len(firsts) == self.changes


Harm = Callable[[WorkerProcess, PrivateBroker], Awaitable[None]]


async def kill_the_worker(worker: WorkerProcess, _broker: PrivateBroker) -> None:
    await worker.kill()
    worker.start()


async def restart_the_broker(_worker: WorkerProcess, broker: PrivateBroker) -> None:
    await asyncio.to_thread(broker.restart)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("harm", [kill_the_worker, restart_the_broker])
async def test_every_command_has_one_answer_and_one_effect(
    broker: PrivateBroker, namespace: str, database_url: str, harm: Harm
) -> None:
    settings = settings_of(broker.url, namespace, database_url, STREAMS_HEARTBEAT_S="5")
    history = History(broker.url, namespace)
    async with WorkerProcess(settings) as worker:
        await history.declare()
        collecting = asyncio.create_task(history.collect())
        asking = asyncio.create_task(history.ask_all(pace_s=0.002))
        try:
            for share in (0.25, 0.6):
                await eventually(lambda s=share: _answered(history, s), within_s=ANSWERED_WITHIN_S)  # type: ignore[misc]
                await harm(worker, broker)
            await asking
            await history.settled()
        finally:
            for task in (asking, collecting):
                task.cancel()
            await asyncio.gather(asking, collecting, return_exceptions=True)
    history.check()


async def _answered(history: History, share: float) -> bool:
    return len(history.answers) >= share * COMMANDS
