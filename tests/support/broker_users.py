"""Users of a broker with no more rights than they need, and what they do with them."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aio_pika
from typing_extensions import override
from yarl import URL

from devtools.broker import PrivateBroker
from tests.support.wire import Device

CTL_AT_ONCE_MAX = 3
PASSWORD = "hunter2"
NOTHING = "^$"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody with a password. The patterns are RabbitMQ's; `topics` are the routing keys, by exchange."""

    name: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: tuple[tuple[str, str], ...] = ()

    def url(self, broker: PrivateBroker) -> str:
        return str(URL(broker.url).with_user(self.name).with_password(PASSWORD))


def a_device(name: str, namespaces: Iterable[str]) -> User:
    """Somebody who may publish commands under its own routing key, and hear the answers."""
    own = "^amq\\.gen-.*$"
    exchanges = [f"{namespace}.commands" for namespace in namespaces]
    return User(
        name=name,
        configure=own,
        write=f"^({'|'.join(map(re.escape, exchanges))})$",
        read=own,
        topics=tuple((exchange, f"^{re.escape(name)}$") for exchange in exchanges),
    )


def a_worker(name: str, namespaces: Iterable[str]) -> User:
    """Somebody who makes nothing, reads commands, and says answers, events and dead letters."""
    any_of = "|".join(map(re.escape, namespaces))
    return User(name=name, write=f"^(({any_of})\\.(events|dead)|amq\\.default)$", read=f"^({any_of})\\.commands$")


async def make(broker: PrivateBroker, users: Iterable[User]) -> None:
    """Make the users, each with its rights."""
    few = asyncio.Semaphore(CTL_AT_ONCE_MAX)  # each call is a program that starts for a second

    async def one(user: User) -> None:
        async with few:
            await asyncio.to_thread(_make, broker, user)

    await asyncio.gather(*(one(user) for user in users))


def _make(broker: PrivateBroker, user: User) -> None:
    broker.ctl("add_user", user.name, PASSWORD)
    broker.ctl("set_permissions", "-p", "/", user.name, user.configure, user.write, user.read)
    for exchange, keys in user.topics:
        broker.ctl("set_topic_permissions", "-p", "/", user.name, exchange, keys, NOTHING)


class Sender(Device):
    """A device, or an operator, that says who it is: by its login, its `user_id` and its routing key."""

    def __init__(self, broker: PrivateBroker, namespace: str, user: User) -> None:
        super().__init__(user.url(broker), namespace)
        self.name = user.name

    @override
    async def tell(
        self, body: bytes, *, straight: bool = False, routing_key: str | None = None, **properties: Any
    ) -> None:
        """Publish a command; `user_id=None` says nothing about who it is from."""
        properties = {"content_type": "application/json", "user_id": self.name} | properties
        properties = {name: value for name, value in properties.items() if value is not None}
        assert not straight, "it has no right to publish straight to a queue"
        await self._commands.publish(aio_pika.Message(body, **properties), routing_key or self.name)
