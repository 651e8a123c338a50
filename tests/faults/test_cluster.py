"""A cluster of three brokers loses one node after another under load: nothing is lost, nothing happens twice."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractQueue
from typing_extensions import override

from devtools.broker_cluster import NODES, PrivateBrokerCluster
from stream_client import StreamsClient
from tests.faults.checks.verdict import Circumstances, Verdict, verdict
from tests.faults.cluster_day import OLD_ENOUGH_S, SETTINGS, ClusterDay, Loss, Step, cluster_day
from tests.faults.crowd import Plan
from tests.faults.history import Fate
from tests.faults.journal import now_s
from tests.faults.record import write_record
from tests.faults.snapshot import read_snapshot
from tests.support.front import Front
from tests.support.wire import DIRECT, Device, Listener, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

CONFIRMED_WITHIN_S = 60.0
SETTLED_WITHIN_S = 90.0
COMMANDS_MAX = 1_000_000  # it ends with the last loss
LOSSES: list[Step] = [
    ClusterDay.lose_the_leader,
    ClusterDay.lose_the_workers_node,
    ClusterDay.lose_the_leader,
    ClusterDay.lose_sight_of_the_leader,
    ClusterDay.lose_the_leader,
    ClusterDay.lose_the_leader,
]

DEVICES = 15  # more than the worker's connection for direct replies may end in one round
ANSWERED_WITHIN_S = 60.0
CLIENT_ASKS = 40
QUEUES = 10
PATIENCE_S = 1.0

Say = Callable[[str], None]


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateBrokerCluster]:
    with PrivateBrokerCluster() as cluster:
        yield cluster


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """Show a line to whoever runs the tests."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def show(line: str) -> None:
        if reporter is not None and capture is not None:  # a process of several that run tests has none
            with capture.global_and_fixture_disabled():
                reporter.ensure_newline()
                reporter.write_line(line)

    return show


async def trial(day: ClusterDay, database_url: str, say: Say, folder: Path) -> Verdict:
    """Lose one node after another under load, let everything come to rest, and judge."""
    losses: list[Loss] = []
    async with day.crowd.speaking(confirmed_within_s=CONFIRMED_WITHIN_S):
        for step in LOSSES:
            losses.append(await step(day))
            loss = losses[-1]
            say(f"  {loss.what:<22} node {loss.node}  {loss.devices:>2} devices  back in {loss.recovery_s:5.2f} s")
    healed_at_s = now_s()
    await day.crowd.settle(database_url, within_s=SETTLED_WITHIN_S)
    for worker in day.workers:
        await worker.ready()
    history, snapshot = await day.crowd.history(), await read_snapshot(database_url)
    write_record(folder / "trial.jsonl", history, snapshot)
    circumstances = Circumstances(healed_at_s=healed_at_s, within_s=SETTLED_WITHIN_S, seen=day.seen())
    result = verdict(history, snapshot, circumstances)
    if not result.is_good:
        day.keep(folder)
    say(
        f"  {result.commands} commands, {result.events} events, lost {result.lost}, twice {result.effects_twice}, "
        f"differing {result.answers_that_differ}, out of order {result.out_of_order}"
    )
    assert all(loss.devices for loss in losses)
    assert {request.fate for request in history.requests} == {Fate.CONFIRMED}
    return result


@pytest.mark.parametrize(
    ("database_url", "workers"), [("sqlite", 1), ("postgresql", 1), ("postgresql", 3)], indirect=["database_url"]
)
async def test_a_cluster_that_loses_its_leader_again_and_again_loses_nothing(
    cluster: PrivateBrokerCluster, namespace: str, database_url: str, workers: int, say: Say, tmp_path: Path
) -> None:
    plan = Plan(seed=11, commands=COMMANDS_MAX, rate_per_s=50, hands=3, patience_s=1.0, sender="guest")
    async with cluster_day(cluster, namespace, database_url, plan, workers=workers) as day:
        result = await trial(day, database_url, say, tmp_path)
    assert result.is_good, str(result)


async def test_devices_whose_node_died_ask_again_and_get_the_answer_that_was_kept(
    cluster: PrivateBrokerCluster, namespace: str, tmp_path: Path
) -> None:
    """The worker hears of their commands when nobody is there any more to be answered."""
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
    async with Front(cluster.urls, first=0) as front, AsyncExitStack() as stack:
        settings = settings_of(front.url, namespace, database_url, **SETTINGS)
        worker = await stack.enter_async_context(WorkerProcess(settings))
        await asyncio.sleep(OLD_ENOUGH_S)
        leader = await asyncio.to_thread(cluster.leader_of, f"{namespace}.commands")
        theirs = next(index for index in range(NODES) if index not in (0, leader))
        worker.signal(signal.SIGSTOP)
        for number in range(DEVICES):
            device = Device(cluster.urls[theirs], namespace)
            await stack.enter_async_context(device)
            await device.tell(body_of(number), reply_to=DIRECT, correlation_id="early", **properties_of(number))
        await asyncio.to_thread(cluster.nodes[theirs].kill)
        try:
            worker.signal(signal.SIGCONT)
            kept = await eventually(lambda: answers_of(database_url), within_s=ANSWERED_WITHIN_S)
            async with Device(front.url, namespace) as device, Undertaker(front.url, namespace) as undertaker:
                again = [
                    await device.ask(body_of(number), reply_to=DIRECT, **properties_of(number))
                    for number in range(DEVICES)
                ]
                assert await undertaker.depth("dead") == 0
        finally:
            await asyncio.to_thread(cluster.nodes[theirs].start)
    assert {reply.body for reply in again} == set(kept) == set(await answers_of(database_url))
    assert {json.loads(reply.body)["outcome"] for reply in again} == {"created"}
    assert [stream.version for stream in (await read_snapshot(database_url)).streams] == [1] * DEVICES
    assert "direct_replies.given_up" in worker.log


def body_of(number: int) -> bytes:
    return b'{"device_id": "cam-%d"}' % number


def properties_of(number: int) -> dict[str, Any]:
    return {"type": "stream.create", "message_id": f"m-{number}"}


async def answers_of(database_url: str) -> list[bytes]:
    """Return the answers that are kept, when there is one for each device."""
    answers = [row.reply_body for row in (await read_snapshot(database_url)).handled]
    return answers if len(answers) == DEVICES else []


async def test_a_client_gets_its_answers_from_whichever_node_is_left(
    cluster: PrivateBrokerCluster, namespace: str, tmp_path: Path
) -> None:
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
    async with Front(cluster.urls, first=0) as front, AsyncExitStack() as stack:
        await stack.enter_async_context(WorkerProcess(settings_of(front.url, namespace, database_url, **SETTINGS)))
        await asyncio.sleep(OLD_ENOUGH_S)
        client = StreamsClient(
            front.url, namespace=namespace, timeout_s=ANSWERED_WITHIN_S, attempt_s=1.0, attempts_max=100
        )
        await stack.enter_async_context(client)
        answers = []
        for number in range(CLIENT_ASKS):
            asking = asyncio.create_task(client.create(f"cam-{number}"))
            if number == CLIENT_ASKS // 2:
                stack.push_async_callback(asyncio.to_thread, cluster.nodes[0].start)
                await asyncio.to_thread(cluster.nodes[0].kill)
            answers.append(await asking)
    assert [answer.outcome for answer in answers] == ["created"] * CLIENT_ASKS
    assert len({answer.stream.id for answer in answers}) == CLIENT_ASKS


class Lasting(Listener):
    """A quorum queue that hears every event and replies too."""

    def __init__(self, url: str, namespace: str, name: str) -> None:
        super().__init__(url, namespace)
        self.name = name

    @override
    async def _queue(self) -> AbstractQueue:
        return await self.channel.get_queue(self.name, ensure=False)

    def has_heard_all(self, when: str) -> bool:
        """Whether it has heard its reply of then, and of every device of then."""
        replies = [message for message in self.heard if message.correlation_id == when]
        devices = {key for message in self.heard if (key := message.routing_key) and f".{when}-" in key}
        return bool(replies) and len(devices) == QUEUES

    @classmethod
    async def declare(cls, url: str, namespace: str, names: Iterable[str]) -> None:
        """Make such queues at a node, which leads them then."""
        async with await aio_pika.connect(url) as connection, connection.channel() as channel:
            for name in names:
                queue = await channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
                await queue.bind(f"{namespace}.events", "#")


async def asked_until_heard(device: Device, lasting: Sequence[Lasting], when: str) -> bool:
    """Ask for all who have not heard everything, and give them a moment."""

    async def all_have_heard() -> bool:
        return all(one.has_heard_all(when) for one in lasting)

    for number, one in enumerate(lasting):
        if not one.has_heard_all(when):
            body = json.dumps({"device_id": f"{when}-{number}"}).encode()
            told: dict[str, Any] = {"message_id": f"{when}-{number}", "correlation_id": when, "reply_to": one.name}
            await device.tell(body, type="stream.create", **told)
    with suppress(TimeoutError):
        return await eventually(all_have_heard, within_s=PATIENCE_S)
    return False


async def test_queues_whose_leader_stays_dead_hear_everything_from_a_worker_that_lost_its_node_too(
    cluster: PrivateBrokerCluster, namespace: str, tmp_path: Path
) -> None:
    """It comes back so fast that the other nodes do not yet know of new leaders: its channel is then refused."""
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
    names = [f"{namespace}.reply.{number}" for number in range(QUEUES)]
    async with Front(cluster.urls, first=0) as front, AsyncExitStack() as stack:
        await stack.enter_async_context(WorkerProcess(settings_of(front.url, namespace, database_url, **SETTINGS)))
        await Lasting.declare(cluster.urls[0], namespace, names)
        lasting = [Lasting(cluster.urls[1], namespace, name) for name in names]
        device = Device(cluster.urls[1], namespace)
        for party in (*lasting, device):
            await stack.enter_async_context(party)
        await asyncio.sleep(OLD_ENOUGH_S)
        await eventually(lambda: asked_until_heard(device, lasting, "before"), within_s=ANSWERED_WITHIN_S)

        stack.push_async_callback(asyncio.to_thread, cluster.nodes[0].start)
        killing = asyncio.create_task(asyncio.to_thread(cluster.nodes[0].kill))
        await eventually(lambda: asked_until_heard(device, lasting, "after"), within_s=ANSWERED_WITHIN_S)
        await killing
        assert not cluster.nodes[0].is_running
