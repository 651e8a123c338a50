"""The rights on the broker that the contract publishes are enough, and no more than that."""

import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aio_pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import ChannelClosed

from devtools.broker import PrivateBroker
from devtools.contract.permissions import PERMISSIONS
from tests.support.broker_side import options
from tests.support.broker_users import User, a_device, a_worker, make
from worker.amqp import session
from worker.amqp.topology import topology


def published(who: str, namespace: str) -> tuple[str, ...]:
    """Configure, write, read and the topic's part, in a namespace. `<…>` stands for a name."""
    (row,) = [line for line in PERMISSIONS.splitlines() if line.startswith((f"| {who} |", f"| {who},"))]
    cells = re.split(r"(?<!\\) \| ", row.strip("| "))[1:]
    plain = (cell.replace("\\|", "|").replace("streams", namespace) for cell in cells)
    return tuple(cell[1:-1] if cell.startswith("`") else cell for cell in plain)


def test_the_device_of_the_other_tests_has_the_published_rights() -> None:
    device = a_device("cam-1", ["streams"])
    configure, write, read, topic = published("device", "streams")

    assert (device.configure, device.read) == (configure, read)
    assert re.sub(r"[()]", "", device.write) == write
    assert topic == "write `^<its user>$` on `streams.commands`"
    assert device.topics == (("streams.commands", "^cam\\-1$"),)


def test_the_worker_of_the_other_tests_has_the_published_rights_but_for_partitions() -> None:
    worker = a_worker("worker", ["streams"])
    configure, write, read = published("worker", "streams")[:3]

    assert (worker.configure, worker.write.replace("(streams)", "streams")) == (configure, write)
    assert worker.read.replace("(streams)", "streams") == read.replace(r"(\.\d+)?", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the objects of a namespace are, and somebody who may subscribe there."""

    namespace: str
    queue: str
    user: User


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(broker: PrivateBroker) -> Place:
    namespace = f"r{secrets.token_hex(4)}"
    await session.apply_topology(options(broker.url), topology(namespace))
    queue = f"billing-{namespace}"
    configure, write, read = (
        cell.replace("<its queue>", queue) for cell in published("subscriber", namespace)[:3]
    )
    user = User(name=f"subscriber-{namespace}", configure=configure, write=write, read=read)
    await make(broker, [user])
    broker.ctl("set_topic_permissions", "-p", "/", user.name, f"{namespace}.events", "^$", r"^stream\..*$")
    return Place(namespace=namespace, queue=queue, user=user)


@pytest_asyncio.fixture(loop_scope="session")
async def subscriber(broker: PrivateBroker, place: Place) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(place.user.url(broker)) as connection, connection.channel() as channel:
        yield channel


@pytest_asyncio.fixture(loop_scope="session")
async def queue(subscriber: AbstractChannel, place: Place) -> AbstractQueue:
    return await subscriber.declare_queue(place.queue, durable=True)


async def test_a_subscriber_may_have_a_queue_of_its_own_and_bind_it(
    queue: AbstractQueue, broker: PrivateBroker, place: Place
) -> None:
    await queue.bind(f"{place.namespace}.events", "stream.created.#")
    async with await aio_pika.connect(broker.url) as connection, connection.channel() as worker:
        events = await worker.get_exchange(f"{place.namespace}.events", ensure=False)
        await events.publish(aio_pika.Message(b"{}"), "stream.created.cam-1")

    async with queue.iterator(timeout=60) as heard:
        event = await anext(aiter(heard))
        await event.ack()

    assert event.routing_key == "stream.created.cam-1"


@pytest.mark.parametrize("key", ["#", "secret.cam-1"])
async def test_a_subscriber_may_bind_only_what_its_topic_permission_allows(
    queue: AbstractQueue, place: Place, key: str
) -> None:
    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        await queue.bind(f"{place.namespace}.events", key)


async def test_a_subscriber_may_not_have_anothers_queue(subscriber: AbstractChannel) -> None:
    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        await subscriber.declare_queue("anothers", durable=True)


@pytest.mark.parametrize("exchange", ["commands", "dead"])
async def test_a_subscriber_may_not_listen_to_anything_else(
    queue: AbstractQueue, place: Place, exchange: str
) -> None:
    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        await queue.bind(f"{place.namespace}.{exchange}", "#")


@pytest.mark.parametrize("exchange", ["events", "commands"])
async def test_a_subscriber_may_say_nothing(subscriber: AbstractChannel, place: Place, exchange: str) -> None:
    said = await subscriber.get_exchange(f"{place.namespace}.{exchange}", ensure=False)

    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        await said.publish(aio_pika.Message(b"{}"), "stream.created.cam-1")


async def ignore(_: AbstractIncomingMessage) -> None:
    """Take it, and do nothing."""


async def test_an_operator_may_ask_for_every_device(broker: PrivateBroker, place: Place) -> None:
    configure, write, read, topic = published("operator", place.namespace)
    exchange = f"{place.namespace}.commands"
    assert topic == f"write `.*` on `{exchange}`"
    user = User(
        name=f"boss-{place.namespace}", configure=configure, write=write, read=read, topics=((exchange, ".*"),)
    )
    await make(broker, [user])

    async with await aio_pika.connect(user.url(broker)) as connection, connection.channel() as channel:
        replies = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
        await replies.consume(ignore, no_ack=True)
        commands = await channel.get_exchange(exchange, ensure=False)
        for device_id in ("cam-1", "cam-2"):
            command = aio_pika.Message(b"{}", user_id=user.name, reply_to=replies.name)
            assert await commands.publish(command, device_id)
