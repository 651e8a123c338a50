"""What a careless operator does to a broker, and what a careful one asks it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aio_pika.exceptions import ChannelClosed

from tests.faults.world import World
from tests.support.broker_side import Stranger

EMPTY_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.05

# Of the namespace's consumers on the queue of commands, each as a list of properties.
_CONSUMERS: Final = (
    '[C || C <- rabbit_amqqueue:consumers_all(<<"/">>), '
    'element(4, proplists:get_value(queue_name, C)) =:= <<"{queue}">>]'
)


class Operator:
    """Somebody with every right on a trial's broker."""

    def __init__(self, world: World) -> None:
        self._consumers = len(world.keepers)
        self._broker = world.servers.broker
        self.namespace = world.namespace
        self.commands = f"{world.namespace}.commands"

    async def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl and return what it prints. Raises CommandFailed."""
        return await asyncio.to_thread(self._broker.ctl, *arguments)

    async def tell_consumers(self, erlang: str) -> None:
        """Have the broker do something for each channel `Channel` that consumes commands by the tag `Tag`. Raises
        AssertionError where there are not as many as workers.
        """
        consumers = _CONSUMERS.format(queue=self.commands)
        each = "Channel = proplists:get_value(channel_pid, C), Tag = proplists:get_value(consumer_tag, C)"
        told = int(await self.ctl("eval", f"length([begin {each}, {erlang} end || C <- {consumers}])."))
        assert told == self._consumers, f"{told} consumers were told, of {self._consumers}"

    async def waiting(self) -> int:
        """Return how many commands the queue has, those that are in somebody's hand too.

        What `list_queues` says of a quorum queue is some seconds old.
        """
        server = f"{{'%2F_{self.commands}', node()}}"
        query = f"{{ok, {{_, N}}, _}} = ra:leader_query({server}, fun rabbit_fifo:query_messages_total/1), N."
        return int(await self.ctl("eval", query))

    @asynccontextmanager
    async def nothing_arrives(self) -> AsyncIterator[Stranger]:
        """Have senders told that their commands go nowhere, and wait until the queue of commands is empty: then
        nobody's command is in it. Whoever declares the queue next binds it again.
        """
        async with Stranger(self._broker.url, self.namespace) as stranger:
            queue = await stranger.channel.get_queue(self.commands, ensure=False)
            await queue.unbind(self.commands, "#")
            async with asyncio.timeout(EMPTY_WITHIN_S):
                while await self.waiting():  # noqa: ASYNC110 - the broker's to tell
                    await asyncio.sleep(_LOOK_S)
            yield stranger

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Stranger]:
        """Give somebody with a connection of their own."""
        async with Stranger(self._broker.url, self.namespace) as stranger:
            yield stranger

    async def insist_on_binding(self, queue: str, exchange: str, *, within_s: float = EMPTY_WITHIN_S) -> None:
        """Bind a queue as soon as there is such an exchange. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                try:
                    async with self.channel() as stranger:
                        bound = await stranger.channel.get_queue(queue, ensure=False)
                        await bound.bind(exchange, "#")
                except ChannelClosed:
                    await asyncio.sleep(_LOOK_S)
                else:
                    return
