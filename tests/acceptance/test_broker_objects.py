"""The broker objects are those of the contract, to the letter: a stranger who declares them again is let.

A broker takes a declaration of what is there only if every argument is the same.
"""

import uuid
from collections.abc import AsyncIterator
from typing import Any, Final

import aio_pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from tests.support.wire import Party, Subscriber, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of

Arguments = dict[str, str | int]


def commands(namespace: str) -> Arguments:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": 20,
        "x-dead-letter-exchange": f"{namespace}.dead",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


DEAD: Final[Arguments] = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}

OTHER: Final[Arguments] = {
    "x-queue-type": "classic",
    "x-delivery-limit": 21,
    "x-dead-letter-exchange": "elsewhere",
    "x-dead-letter-strategy": "at-most-once",
    "x-overflow": "drop-head",
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def declared(broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A namespace whose objects a worker has made; it is stopped, so that what is published stays where it is."""
    namespace = f"o{uuid.uuid4().hex[:8]}"
    database_url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/streams.db"
    async with WorkerProcess(settings_of(broker.url, namespace, database_url)):
        pass
    yield namespace
    async with Party(broker.url, namespace) as sweeper:
        for kind in ("commands", "dead"):
            await sweeper.channel.queue_delete(f"{namespace}.{kind}")


@pytest.fixture
async def stranger(broker: PrivateBroker, declared: str) -> AsyncIterator[Party]:
    async with Party(broker.url, declared) as stranger:
        yield stranger


async def take(party: Party, queue: str, *, no_ack: bool = True) -> AbstractIncomingMessage:
    """Wait for a message in a queue of the namespace, and take it."""
    found = await party.channel.get_queue(f"{party.namespace}.{queue}", ensure=False)

    async def look() -> AbstractIncomingMessage | None:
        return await found.get(fail=False, no_ack=no_ack)

    message = await eventually(look)
    assert message is not None
    return message


def death_of(letter: AbstractIncomingMessage) -> dict[str, Any]:
    """What the broker says about its end."""
    deaths: Any = letter.headers["x-death"]
    (death,) = deaths
    return dict(death)


async def test_the_objects_are_those_of_the_contract(stranger: Party) -> None:
    for kind in ("commands", "events", "dead"):
        await stranger.channel.declare_exchange(f"{stranger.namespace}.{kind}", "topic", durable=True)
    for kind, arguments in (("commands", commands(stranger.namespace)), ("dead", DEAD)):
        await stranger.channel.declare_queue(
            f"{stranger.namespace}.{kind}", durable=True, arguments=dict(arguments)
        )


async def test_this_broker_would_see_any_difference(broker: PrivateBroker, declared: str) -> None:
    """Else the test above would show nothing."""
    wrong: list[tuple[str, Arguments]] = [
        *(("commands", commands(declared) | {name: other}) for name, other in OTHER.items()),
        *(("dead", DEAD | {name: OTHER[name]}) for name in ("x-delivery-limit", "x-dead-letter-exchange")),
    ]
    for kind, arguments in wrong:
        async with Party(broker.url, declared) as stranger:
            with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed, match="inequivalent arg"):
                await stranger.channel.declare_queue(f"{declared}.{kind}", durable=True, arguments=dict(arguments))


@pytest.mark.parametrize("queue", ["commands", "dead"])
@pytest.mark.parametrize("routing_key", ["cam-1", "a.b.c", ""])
async def test_a_queue_gets_whatever_is_published_to_its_exchange(
    stranger: Party, queue: str, routing_key: str
) -> None:
    body = uuid.uuid4().hex.encode()
    exchange = await stranger.channel.get_exchange(f"{stranger.namespace}.{queue}", ensure=False)

    await exchange.publish(aio_pika.Message(body), routing_key)

    arrived = await take(stranger, queue)
    assert (arrived.body, arrived.routing_key) == (body, routing_key)


async def test_whoever_binds_to_the_events_hears_them(broker: PrivateBroker, stranger: Party) -> None:
    async with Subscriber(broker.url, stranger.namespace) as subscriber:
        exchange = await stranger.channel.get_exchange(f"{stranger.namespace}.events", ensure=False)
        await exchange.publish(aio_pika.Message(b"{}"), "stream.created.cam-1")

        (heard,) = await subscriber.of_device("cam-1", 1)
        assert heard.routing_key == "stream.created.cam-1"


async def test_a_command_that_expires_in_the_queue_is_dead_lettered_by_the_broker(
    broker: PrivateBroker, stranger: Party
) -> None:
    body = uuid.uuid4().hex.encode()
    exchange = await stranger.channel.get_exchange(f"{stranger.namespace}.commands", ensure=False)
    message = aio_pika.Message(body, type="stream.create", expiration=0.05, delivery_mode=2)

    await exchange.publish(message, "cam-1")
    async with Undertaker(broker.url, stranger.namespace) as undertaker:
        letter = await undertaker.find(body)

        assert await undertaker.depth("commands") == 0
    death = death_of(letter)
    assert (death["reason"], death["queue"]) == ("expired", f"{stranger.namespace}.commands")
    assert (letter.type, letter.expiration) == ("stream.create", None)
    assert "x-streams-reason" not in letter.headers


async def test_looking_at_a_dead_letter_does_not_cost_it(stranger: Party) -> None:
    """Not even as often as would end a command."""
    exchange = await stranger.channel.get_exchange(f"{stranger.namespace}.dead", ensure=False)
    await exchange.publish(aio_pika.Message(b"letter", delivery_mode=2), "cam-1")

    for _ in range(25):
        await (await take(stranger, "dead", no_ack=False)).reject(requeue=True)

    assert (await take(stranger, "dead")).headers["x-delivery-count"] == 25


async def test_a_command_that_is_given_back_too_often_is_dead_lettered_by_the_broker(
    broker: PrivateBroker, stranger: Party
) -> None:
    body = uuid.uuid4().hex.encode()
    exchange = await stranger.channel.get_exchange(f"{stranger.namespace}.commands", ensure=False)
    await exchange.publish(aio_pika.Message(body, delivery_mode=2), "cam-1")

    for _ in range(1 + 20):
        await (await take(stranger, "commands", no_ack=False)).reject(requeue=True)

    async with Undertaker(broker.url, stranger.namespace) as undertaker:
        letter = await undertaker.find(body)
    assert death_of(letter)["reason"] == "delivery_limit"
