"""What can be done with the broker objects: make them, look for them, lead the commands elsewhere."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiormq.channel import Channel
from aiormq.exceptions import ChannelAccessRefused, ChannelClosed, ChannelNotFoundEntity, ConnectionCommandInvalid

from worker.amqp.deadline import reason
from worker.amqp.topology import PARTITIONS_MAX, Topology, TopologyWrong

OpenChannel = Callable[[], Awaitable[Channel]]


async def declare(wanted: Topology, open_channel: OpenChannel) -> None:
    """Make what is missing. Raises TopologyWrong where something is there with other arguments, or cannot be."""
    try:
        channel = await open_channel()
        for exchange in wanted.exchanges:
            await channel.exchange_declare(exchange.name, exchange_type=exchange.kind, durable=True)
        for queue in wanted.queues:
            await channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            if queue.exchange:
                await channel.queue_bind(queue.name, queue.exchange, routing_key=queue.key)
        await _lead(wanted, channel)
        await channel.close()
    except ConnectionCommandInvalid as unknown:  # an exchange of a type that nobody there knows
        raise TopologyWrong(
            f"The broker cannot spread commands over partitions: {reason(unknown)}. Run `rabbitmq-plugins enable "
            "rabbitmq_consistent_hash_exchange` on each of its nodes, or set STREAMS_PARTITIONS=1."
        ) from unknown
    except ChannelClosed as refused:
        raise TopologyWrong(
            f"The broker refused to declare what this worker needs: {reason(refused)}. "
            "Delete or rename the object, choose another STREAMS_NAMESPACE, or, where the rights are missing, "
            "run `stream-worker topology apply` as a user who has them and set STREAMS_TOPOLOGY=check."
        ) from refused


async def _lead(wanted: Topology, channel: Channel) -> None:
    """Lead the commands to the partitions, once there are some, and only then no longer to the one queue: in
    between a command may come twice, and none is lost.
    """
    for exchange in wanted.exchanges:
        if exchange.source:
            await channel.exchange_bind(exchange.name, exchange.source, routing_key="#")
    for queue in wanted.queues:
        if queue.exchange is None:
            await channel.queue_unbind(queue.name, wanted.commands, routing_key="#")
    await _lead_to_no_other(wanted, channel)


async def _lead_to_no_other(wanted: Topology, channel: Channel) -> None:
    """Lead nothing to partitions that are not wanted: nobody may be there to consume them. Unbinding what is not
    there is no error.
    """
    if wanted.partitions:
        for number in range(len(wanted.partitions) + 1, PARTITIONS_MAX + 1):
            await channel.queue_unbind(wanted.partition(number), wanted.hashed, routing_key="1")
        return
    with suppress(ChannelAccessRefused, ChannelNotFoundEntity):  # then nobody has led anything there
        await channel.exchange_unbind(wanted.hashed, wanted.commands, routing_key="#")


async def withdraw(wanted: Topology, open_channel: OpenChannel) -> list[str]:
    """Remove the exchange that is not wanted, and return the partitions that are not and are still there: what is
    in them is for workers that know them. For whoever changes the number of partitions. Raises TopologyWrong.
    """
    surplus: list[str] = []
    while await _is_there(
        _queue_check(name := wanted.partition(len(wanted.partitions) + len(surplus) + 1)), open_channel
    ):
        surplus.append(name)
    try:
        channel = await open_channel()
        if not wanted.partitions and await _is_there(_exchange_check(wanted.hashed), open_channel):
            await channel.exchange_delete(wanted.hashed)
        await channel.close()
    except ChannelClosed as refused:
        raise TopologyWrong(
            f"The broker keeps the exchange of the old partitions: {reason(refused)}."
        ) from refused
    return surplus


async def _is_there(check: Callable[[Channel], Awaitable[object]], open_channel: OpenChannel) -> bool:
    channel = await open_channel()
    try:
        await check(channel)
        await channel.close()
    except ChannelNotFoundEntity:
        return False
    return True


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
