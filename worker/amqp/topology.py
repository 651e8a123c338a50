"""The broker objects of the contract, as data, and what can be done with them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiormq.channel import Channel
from aiormq.exceptions import ChannelClosed, ChannelNotFoundEntity

from worker.amqp.deadline import reason
from worker.service.ports import EpochOver

DELIVERY_LIMIT: Final = 20  # a message that cost so many workers their connection is not tried again
NEVER_REACHED: Final = 1_000_000_000  # -1 would drop a dead letter at its first requeue (RabbitMQ 3.10)


class TopologyWrong(EpochOver):
    """An exchange or queue is missing, or is there with other arguments. The text says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A durable topic exchange."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A durable quorum queue, bound to an exchange of the same name with `#`."""

    name: str
    exchange: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All names of one namespace, and the objects behind them."""

    commands: str
    events: str
    dead: str
    canary: str
    exchanges: Sequence[Exchange]
    queues: Sequence[Queue]


def topology(namespace: str) -> Topology:
    """Return the objects of a namespace, in the order in which they have to be declared."""
    commands, events, dead = (f"{namespace}.{kind}" for kind in ("commands", "events", "dead"))
    return Topology(
        commands=commands,
        events=events,
        dead=dead,
        canary=f"{namespace}.canary",
        exchanges=tuple(Exchange(name=name) for name in (commands, events, dead)),
        queues=(
            Queue(
                name=dead,
                exchange=dead,
                arguments={"x-queue-type": "quorum", "x-delivery-limit": NEVER_REACHED},
            ),
            Queue(
                name=commands,
                exchange=commands,
                arguments={
                    "x-queue-type": "quorum",
                    "x-delivery-limit": DELIVERY_LIMIT,
                    "x-dead-letter-exchange": dead,
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            ),
        ),
    )


OpenChannel = Callable[[], Awaitable[Channel]]


async def declare(wanted: Topology, open_channel: OpenChannel) -> None:
    """Make what is missing. Raises TopologyWrong where something is there with other arguments."""
    channel = await open_channel()
    try:
        for exchange in wanted.exchanges:
            await channel.exchange_declare(exchange.name, exchange_type="topic", durable=True)
        for queue in wanted.queues:
            await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            await channel.queue_bind(queue.name, queue.exchange, routing_key="#")
        await channel.close()
    except ChannelClosed as refused:
        raise TopologyWrong(
            f"The broker refused to declare what this worker needs: {reason(refused)}. "
            "Delete or rename the object, choose another STREAMS_NAMESPACE, or, where the rights are missing, "
            "run `stream-worker topology apply` as a user who has them and set STREAMS_TOPOLOGY=check."
        ) from refused


async def missing(wanted: Topology, open_channel: OpenChannel) -> list[str]:
    """Return what is not there, each as a readable name. A passive declare sees nothing but that.

    Raises TopologyWrong where the broker does not let us look.
    """
    checks: list[tuple[str, Callable[[Channel], Awaitable[object]]]] = [
        *((f"exchange {e.name}", _exchange_check(e.name)) for e in wanted.exchanges),
        *((f"queue {q.name}", _queue_check(q.name)) for q in wanted.queues),
    ]
    absent: list[str] = []
    channel = await open_channel()
    for name, check in checks:
        try:
            await check(channel)
        except ChannelNotFoundEntity:
            absent.append(name)  # the broker closes a channel that asks for what is not there
            channel = await open_channel()
        except ChannelClosed as refused:
            raise TopologyWrong(f"The broker does not show the {name}: {reason(refused)}.") from refused
    await channel.close()
    return absent


def _exchange_check(name: str) -> Callable[[Channel], Awaitable[object]]:
    return lambda channel: channel.exchange_declare(name, passive=True)


def _queue_check(name: str) -> Callable[[Channel], Awaitable[object]]:
    return lambda channel: channel.queue_declare(name, passive=True)
