"""The private RabbitMQ cluster: what can be done to its nodes, and that nothing of it stays."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import aio_pika
import pytest

from devtools.broker import speaks_amqp
from devtools.broker_cluster import NODES, PrivateBrokerCluster
from devtools.failures import CommandFailed
from devtools.project import ROOT
from devtools.tree import alive, descendants
from devtools.waiting import seen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GONE_WITHIN_S = 60.0
ANSWER_WITHIN_S = 30.0
OLD_ENOUGH_S = 1.5  # of a quorum queue, to be there after its leader is killed


@pytest.fixture(scope="module")
def cluster() -> Iterator[PrivateBrokerCluster]:
    with PrivateBrokerCluster() as cluster:
        yield cluster


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].rstrip("/"))


def everything(cluster: PrivateBrokerCluster) -> list[int]:
    return [*cluster.pids, *(pid for child in cluster.pids for pid in descendants(child))]


async def keep(url: str, queue: str, count: int) -> None:
    async with await aio_pika.connect(url, timeout=ANSWER_WITHIN_S) as connection, connection.channel() as channel:
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        for number in range(count):
            message = aio_pika.Message(b"%d" % number, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
            await channel.default_exchange.publish(message, queue, timeout=ANSWER_WITHIN_S)


async def kept(url: str, queue: str, count: int) -> list[bytes]:
    """Wait for so many messages, and delete the queue."""
    async with await aio_pika.connect(url, timeout=ANSWER_WITHIN_S) as connection, connection.channel() as channel:
        found = await channel.get_queue(queue, ensure=False)
        async with asyncio.timeout(ANSWER_WITHIN_S), found.iterator(no_ack=True) as messages:
            bodies = [(await anext(messages)).body for _ in range(count)]
        await channel.queue_delete(queue, timeout=ANSWER_WITHIN_S)
        return bodies


async def test_what_was_confirmed_outlives_its_leader_who_then_comes_back(cluster: PrivateBrokerCluster) -> None:
    urls = cluster.urls
    assert len(set(urls)) == NODES
    await keep(urls[1], "survivor", 20)
    await asyncio.sleep(OLD_ENOUGH_S)
    first = cluster.leader_of("survivor")
    assert first == 1  # where it was declared
    cluster.nodes[first].kill()
    assert not speaks_amqp(port_of(urls[first]))

    second = cluster.leader_of("survivor")
    assert second != first
    other = next(index for index in range(NODES) if index not in (first, second))
    assert await kept(urls[other], "survivor", 20) == [b"%d" % number for number in range(20)]
    cluster.nodes[first].start()
    cluster.start()  # which waits until they are one again
    assert cluster.urls == urls
    assert speaks_amqp(port_of(urls[first]))


async def test_a_frozen_node_says_nothing_and_the_others_serve(cluster: PrivateBrokerCluster) -> None:
    await keep(cluster.urls[0], "waiting", 5)
    await asyncio.sleep(OLD_ENOUGH_S)
    cluster.nodes[2].pause()
    try:
        assert cluster.nodes[2].is_running
        assert not speaks_amqp(port_of(cluster.urls[2]))
        await keep(cluster.urls[1], "waiting", 5)
    finally:
        cluster.nodes[2].resume()
    assert seen(lambda: speaks_amqp(port_of(cluster.urls[2])), within_s=ANSWER_WITHIN_S)
    assert len(await kept(cluster.urls[2], "waiting", 10)) == 10


def test_a_queue_that_is_not_there_has_no_leader(cluster: PrivateBrokerCluster) -> None:
    with pytest.raises(CommandFailed):
        cluster.leader_of("nobody-made-it")


def test_nothing_is_left_when_it_is_closed() -> None:
    cluster = PrivateBrokerCluster()
    with cluster:
        pids = everything(cluster)
        assert len(pids) > 2 * NODES
    assert seen(lambda: not alive(pids), within_s=GONE_WITHIN_S)


def test_nothing_is_left_when_its_owner_is_killed() -> None:
    program = (
        "import os, signal\n"
        "from devtools.broker_cluster import PrivateBrokerCluster\n"
        "from devtools.tree import descendants\n"
        "PrivateBrokerCluster().start()\n"
        "print(*descendants(os.getpid()), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True,
        check=False, timeout=200,
    )  # fmt: skip
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) > 3 * NODES, done.stderr
    assert seen(lambda: not alive(pids), within_s=GONE_WITHIN_S)
