"""What the broker says to a sender that does something wrong is what the guide tells to be ready for."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import aio_pika
import pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelClosed, ChannelNotFoundEntity, ChannelPreconditionFailed
from pika.exceptions import UnroutableError

from devtools.broker import PrivateBroker
from devtools.contract.document import guide
from tests.support.broker_side import options
from tests.support.broker_users import User, a_device, make
from worker.amqp import session
from worker.amqp.topology import topology

WITHIN_S = 10.0
DIRECT = "amq.rabbitmq.reply-to"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def namespace(broker: PrivateBroker) -> str:
    namespace = f"f{secrets.token_hex(4)}"
    await session.apply_topology(options(broker.url), topology(namespace))
    return namespace


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def device(broker: PrivateBroker, namespace: str) -> User:
    """A device with the published rights, and with those on an exchange that is not there."""
    device = a_device(f"cam-{namespace}", [namespace, f"{namespace}.none"])
    await make(broker, [device])
    return device


@pytest_asyncio.fixture(loop_scope="session")
async def channel(broker: PrivateBroker, device: User) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(device.url(broker)) as connection:
        yield await connection.channel()


async def say(channel: AbstractChannel, namespace: str, key: str, **properties: str) -> object:
    exchange = await channel.get_exchange(f"{namespace}.commands", ensure=False)
    return await exchange.publish(aio_pika.Message(b"{}", **properties), key, timeout=WITHIN_S)


def test_the_guide_names_them() -> None:
    for word in ("404", "403", "406", "basic.return"):
        assert word in guide()


async def test_404_where_the_exchange_is_not_there(channel: AbstractChannel, namespace: str, device: User) -> None:
    with pytest.raises(ChannelNotFoundEntity):
        await say(channel, f"{namespace}.none", device.name)


async def test_403_where_the_routing_key_is_anothers(channel: AbstractChannel, namespace: str) -> None:
    with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
        await say(channel, namespace, "cam-of-another")


async def test_406_where_the_user_id_is_anothers(channel: AbstractChannel, namespace: str, device: User) -> None:
    with pytest.raises(ChannelPreconditionFailed, match="user_id"):
        await say(channel, namespace, device.name, user_id="guest")


async def test_406_where_nobody_listens_for_the_reply(
    channel: AbstractChannel, namespace: str, device: User
) -> None:
    with pytest.raises(ChannelPreconditionFailed, match="reply consumer"):
        await say(channel, namespace, device.name, reply_to=DIRECT)


def say_with_pika(url: str, exchange: str, key: str) -> None:
    """Pika waits for the confirm, and then tells whether the message came back: so both came."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(exchange, key, b"{}", mandatory=True)
    finally:
        connection.close()


async def test_a_command_that_comes_back_is_confirmed_all_the_same(
    broker: PrivateBroker, namespace: str, device: User
) -> None:
    async with await aio_pika.connect(broker.url) as connection, connection.channel() as operator:
        queue = await operator.get_queue(f"{namespace}.commands", ensure=False)
        await queue.unbind(f"{namespace}.commands", "#")

        with pytest.raises(UnroutableError):
            await asyncio.to_thread(say_with_pika, device.url(broker), f"{namespace}.commands", device.name)

        await queue.bind(f"{namespace}.commands", "#")
