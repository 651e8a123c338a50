"""Queues and exchanges that are deleted, replaced, full or not there, and who is hurt by it: those alone."""

from typing import Final

from aio_pika.exceptions import ChannelClosed

from tests.faults.aside import Aside, Wish
from tests.faults.broker_operator import Operator
from tests.faults.full_queue import event_is_left, full_subscriber
from tests.faults.line import DIRECT
from tests.faults.world import Act, World
from tests.support.wire import eventually

MEANWHILE: Final = 30  # answers that must come although something is wrong
NOTICED: Final = 10  # answers that come when all is well again
ASIDE: Final = 8  # commands for a device of its own


async def subscriber_full(world: World) -> None:
    """The subscriber of one device is full; all others go on, and once it has gone the rest is heard."""
    device = "cam-slow"
    async with full_subscriber(world, f"#.{device}") as queue, Aside(world) as aside:
        for kind in ("stream.create", "stream.stop") * ASIDE:
            await aside.ask(Wish.of(device, kind=kind))
        await event_is_left(world)
        await world.answered(MEANWHILE)
        await queue.delete(if_empty=False)
        world.mended()


async def nobody_bound(world: World) -> None:
    """Nobody hears of one device, whose name has two words, and whoever asks for it is answered all the same."""
    device, events = "cam.unheard", f"{world.namespace}.events"
    world.unheard.add(device)
    async with Operator(world).channel() as stranger, Aside(world) as aside:
        heard = await stranger.channel.get_queue(f"{world.namespace}.heard", ensure=False)
        await heard.bind(events, "*.*.*")
        await heard.unbind(events, "#")
        for kind in ("stream.create", "stream.stop") * ASIDE:
            await aside.ask(Wish.of(device, kind=kind))
        await heard.bind(events, "#")
        world.mended()


async def askers_gone(world: World) -> None:
    """Reply queues that are not there, and direct addresses whose owner has gone."""
    async with Aside(world) as aside:
        for number in range(ASIDE):
            await aside.tell_for(f"{world.namespace}.reply.gone", Wish.of(f"cam-gone-{number}"))
            await aside.tell_for(DIRECT, Wish.of(f"cam-left-{number}"))
    await world.answered(MEANWHILE)


async def queue_deleted(world: World) -> None:
    async with Operator(world).nothing_arrives() as stranger:
        await stranger.channel.queue_delete(f"{world.namespace}.commands")
        world.mended()
    await world.answered(NOTICED)


async def dead_queue_deleted(world: World) -> None:
    async with Operator(world).channel() as stranger:
        await stranger.channel.queue_delete(f"{world.namespace}.dead")
        world.mended()
    await world.answered(NOTICED)


def exchange_deleted(kind: str) -> Act:
    async def act(world: World) -> None:
        async with Operator(world).channel() as stranger:
            await stranger.channel.exchange_delete(f"{world.namespace}.{kind}")
            world.mended()
        await world.answered(NOTICED)

    return act


async def events_exchange_deleted(world: World) -> None:
    """Nothing is published until the subscriber is bound again: what nobody is bound to hear is nobody's."""
    operator, publishing = Operator(world), world.amqp.of("publish")
    frozen = publishing.freeze("to_server")
    try:
        async with operator.channel() as stranger:
            await stranger.channel.exchange_delete(f"{world.namespace}.events")
        await operator.insist_on_binding(f"{world.namespace}.heard", f"{world.namespace}.events")
    finally:
        frozen.remove()
    world.mended()
    await world.answered(NOTICED)


async def queue_of_another_kind(world: World) -> None:
    """Somebody makes the queue of commands anew, as another one: the workers say so until that one is away."""
    operator = Operator(world)
    while not await _is_replaced(operator):
        await world.answered(NOTICED)

    async def look() -> bool:
        return all("The broker refused to declare" in keeper.log for keeper in world.keepers)

    async with operator.channel() as stranger:
        await eventually(look)
        await stranger.channel.queue_delete(operator.commands)
        world.mended()
    await world.answered(NOTICED)


async def _is_replaced(operator: Operator) -> bool:
    """Put a classic queue into the place of the queue of commands; whether we were faster than the workers."""
    async with operator.nothing_arrives() as stranger:
        await stranger.channel.queue_delete(operator.commands)
        try:
            await stranger.channel.declare_queue(operator.commands, durable=True)
        except ChannelClosed:
            return False
    return True
