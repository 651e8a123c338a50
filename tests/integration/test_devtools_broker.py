"""The private RabbitMQ node: what can be done to it, and that nothing of it stays."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest

from devtools.broker import PrivateBroker, speaks_amqp
from devtools.failures import CommandFailed, StartFailed
from devtools.project import ROOT
from devtools.tree import alive, descendants
from devtools.waiting import seen

pytestmark = pytest.mark.slow

GONE_WITHIN_S = 60.0
ANSWER_WITHIN_S = 60.0
# A quorum queue that is younger when its node is killed comes back as a name that answers nothing.
SETTLED_AFTER_S = 1.5


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBroker]:
    """One that these tests may do anything to, in a folder that stays."""
    with PrivateBroker(tmp_path_factory.mktemp("node")) as private:
        yield private


def everything(node: PrivateBroker) -> list[int]:
    return [*node.pids, *(pid for child in node.pids for pid in descendants(child))]


def all_gone(pids: list[int]) -> bool:
    return seen(lambda: not alive(pids), within_s=GONE_WITHIN_S)


def port_of(node: PrivateBroker) -> int:
    return int(node.url.rpartition(":")[2].rstrip("/"))


async def keep(url: str, queue: str, body: bytes) -> None:
    async with await aio_pika.connect(url, timeout=ANSWER_WITHIN_S) as connection, connection.channel() as channel:
        await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue, timeout=ANSWER_WITHIN_S)


async def kept(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url, timeout=ANSWER_WITHIN_S) as connection, connection.channel() as channel:
        found = await channel.get_queue(queue)
        message = await found.get(timeout=ANSWER_WITHIN_S)
        await message.ack()
        await channel.queue_delete(queue, timeout=ANSWER_WITHIN_S)
        return message.body


async def test_a_durable_message_survives_a_kill_at_the_same_address(node: PrivateBroker) -> None:
    node.start()
    url = node.url
    await keep(url, "survivor", b"still here")
    await asyncio.sleep(SETTLED_AFTER_S)
    pids = everything(node)
    node.kill()
    assert all_gone(pids)
    assert not node.is_running
    node.start()
    assert node.url == url
    assert await kept(url, "survivor") == b"still here"


async def test_a_restart_keeps_what_is_durable_and_leaves_no_old_process(node: PrivateBroker) -> None:
    node.start()
    url, pids = node.url, everything(node)
    await keep(url, "veteran", b"kept")
    node.restart()
    assert all_gone(pids)
    assert node.url == url
    assert await kept(url, "veteran") == b"kept"


def test_a_paused_node_answers_nothing_until_it_goes_on(node: PrivateBroker) -> None:
    node.start()
    node.pause()
    assert not speaks_amqp(port_of(node))
    assert node.is_running
    node.resume()
    assert seen(lambda: speaks_amqp(port_of(node)), within_s=ANSWER_WITHIN_S)


def test_its_own_tool_speaks_to_it_and_says_what_went_wrong(node: PrivateBroker) -> None:
    node.start()
    assert "guest" in node.ctl("list_users")
    with pytest.raises(CommandFailed, match="no-such-user"):
        node.ctl("delete_user", "no-such-user")


def test_a_folder_has_one_node_at_a_time(tmp_path: Path) -> None:
    first = PrivateBroker(tmp_path)
    with pytest.raises(StartFailed, match="in use"):
        PrivateBroker(tmp_path)
    first.close()
    PrivateBroker(tmp_path).close()


def test_a_folder_keeps_the_address_from_one_node_to_the_next(tmp_path: Path) -> None:
    with PrivateBroker(tmp_path) as first:
        url, pids = first.url, everything(first)
    assert all_gone(pids)
    second = PrivateBroker(tmp_path)
    assert second.url == url
    second.close()


@pytest.mark.parametrize("end", ["raise RuntimeError", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_nothing_is_left_when_its_owner_ends(end: str) -> None:
    program = (
        "import os, signal\n"
        "from devtools.broker import PrivateBroker\n"
        "from devtools.tree import descendants\n"
        "node = PrivateBroker()\n"
        "node.start()\n"
        "print(*descendants(os.getpid()), flush=True)\n"
        f"{end}\n"
    )
    done = subprocess.run(  # noqa: S603 - the program above
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True,
        check=False, timeout=110,
    )  # fmt: skip
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) > 4, done.stderr
    assert done.returncode != 0
    assert all_gone(pids)
