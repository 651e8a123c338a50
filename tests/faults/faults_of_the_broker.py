"""What can happen to a broker, and what it can do to its clients: gone, frozen, full, and of another mind."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from aio_pika.exceptions import ChannelClosed

from devtools.broker import PrivateBroker
from tests.faults import harms_of_postgresql as postgresql
from tests.faults import harms_of_sqlite as sqlite
from tests.faults.aside import Aside, Wish
from tests.faults.broker_operator import Operator
from tests.faults.line import DIRECT
from tests.faults.trial import Fault
from tests.faults.world import Act, Database, World
from tests.support.wire import eventually

GROUP: Final = "broker"

FROZEN_S: Final = 8.0  # three of the trials' heartbeats, and a little
ALARM_S: Final = 6.0  # beyond the deadline of a confirm
HELD_S: Final = 5.0  # beyond the small timeout of a consumer, with its ticks
KILLS: Final = 3
MEANWHILE: Final = 30  # answers that must come although something is wrong
NOTICED: Final = 10  # answers that come when all is well again
COMMANDS: Final = 120
ASIDE: Final = 8  # commands for a device of its own

FULL: Final = {"x-max-length": 1, "x-overflow": "reject-publish"}
PARKING: Final[Mapping[str, str]] = {"STREAMS_PARK_AFTER": "3", "STREAMS_PARKED_RETRY_S": "0.5"}

_DOUBLE_ACK: Final = "rabbit_channel:do(Channel, {'basic.ack', 1, false})"
_STRANGE_ACK: Final = "rabbit_channel:do(Channel, {'basic.ack', 9999, false})"
_CANCEL: Final = "rabbit_channel:send_command(Channel, {'basic.cancel', Tag, true})"
_HIGH_WATER: Final = "set_vm_memory_high_watermark"


def _server(*steps: Callable[[PrivateBroker], object], pause_s: float = 0.0) -> Act:
    """What happens to the whole node, one after the other. It blocks, and the proxies must go on."""

    async def act(world: World) -> None:
        for number, step in enumerate(steps):
            await asyncio.sleep(pause_s if number else 0)
            await asyncio.to_thread(step, world.servers.broker)

    return act


async def _killed_again(world: World) -> None:
    """Each time when what was in hand has just come back."""
    for _ in range(KILLS):
        await _server(PrivateBroker.kill, PrivateBroker.start)(world)
        await world.answered(NOTICED)


async def _connections_closed(world: World) -> None:
    await Operator(world).ctl("close_all_connections", "tested")


def _alarm(raised: Sequence[str], lowered: Sequence[str]) -> Act:
    async def act(world: World) -> None:
        operator = Operator(world)
        await operator.ctl(*raised)
        try:
            await asyncio.sleep(ALARM_S)
        finally:
            await operator.ctl(*lowered)

    return act


def _told(erlang: str) -> Act:
    async def act(world: World) -> None:
        await Operator(world).tell_consumers(erlang)
        await world.answered(NOTICED)

    return act


async def _events_refused(world: World) -> None:
    """One device's subscriber is full; all others go on, and in the end it gets what it missed."""
    async with Operator(world).channel() as stranger:
        slow = await stranger.channel.declare_queue(f"{world.namespace}.slow", arguments=FULL)
        try:
            await slow.bind(f"{world.namespace}.events", "#.cam-1")
            await world.answered(MEANWHILE)
            await slow.purge()
        finally:
            await slow.delete(if_empty=False)


async def _nobody_bound(world: World) -> None:
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


async def _askers_gone(world: World) -> None:
    """Reply queues that are not there, and direct addresses whose owner has gone."""
    async with Aside(world) as aside:
        for number in range(ASIDE):
            await aside.tell_for(f"{world.namespace}.reply.gone", Wish.of(f"cam-gone-{number}"))
            await aside.tell_for(DIRECT, Wish.of(f"cam-left-{number}"))
    await world.answered(MEANWHILE)


async def _queue_deleted(world: World) -> None:
    async with Operator(world).nothing_arrives() as stranger:
        await stranger.channel.queue_delete(f"{world.namespace}.commands")
    await world.answered(NOTICED)


async def _dead_queue_deleted(world: World) -> None:
    async with Operator(world).channel() as stranger:
        await stranger.channel.queue_delete(f"{world.namespace}.dead")
    await world.answered(NOTICED)


def _exchange_deleted(kind: str) -> Act:
    async def act(world: World) -> None:
        async with Operator(world).channel() as stranger:
            await stranger.channel.exchange_delete(f"{world.namespace}.{kind}")
        await world.answered(NOTICED)

    return act


async def _events_exchange_deleted(world: World) -> None:
    """Nothing is published until the subscriber is bound again: what nobody is bound to hear is nobody's."""
    operator, publishing = Operator(world), world.amqp.of("publish")
    frozen = publishing.freeze("to_server")
    try:
        async with operator.channel() as stranger:
            await stranger.channel.exchange_delete(f"{world.namespace}.events")
        await operator.insist_on_binding(f"{world.namespace}.heard", f"{world.namespace}.events")
    finally:
        frozen.remove()
    await world.answered(NOTICED)


async def _queue_of_another_kind(world: World) -> None:
    """Somebody makes the queue of commands anew, as another one: the workers say so until that one is away."""
    operator = Operator(world)
    while not await _is_replaced(operator):
        await world.answered(NOTICED)

    async def look() -> bool:
        return all("The broker refused to declare" in keeper.log for keeper in world.keepers)

    async with operator.channel() as stranger:
        await eventually(look)
        await stranger.channel.queue_delete(operator.commands)
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


async def _held_too_long(world: World) -> None:
    """The database keeps a command in hand for longer than the broker waits for its acknowledgement."""
    operator = Operator(world)
    for name, value in (("channel_tick_interval", 500), ("consumer_timeout", 1_000)):
        await operator.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")
    try:
        world.amqp.cut()  # channels of before know nothing of it
        await world.answered(NOTICED)
        async with _locked(world):
            await asyncio.sleep(HELD_S)
    finally:
        for name, value in (("consumer_timeout", 1_800_000), ("channel_tick_interval", 60_000)):
            await operator.ctl("eval", f"application:set_env(rabbit, {name}, {value}).")
        world.amqp.cut()


def _locked(world: World) -> AbstractAsyncContextManager[None]:
    return sqlite.locked(world) if world.setup.database is Database.SQLITE else postgresql.locked(world)


_ACTS: Final[Mapping[str, Act]] = {
    "killed and started": _server(PrivateBroker.kill, PrivateBroker.start),
    "killed again and again": _killed_again,
    "restarted": _server(PrivateBroker.restart),
    "frozen for 8 s": _server(PrivateBroker.pause, PrivateBroker.resume, pause_s=FROZEN_S),
    "all connections closed": _connections_closed,
    "short of memory": _alarm((_HIGH_WATER, "0.000001"), (_HIGH_WATER, "0.4")),
    "short of disk": _alarm(("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "50MB")),
    "acknowledged twice": _told(_DOUBLE_ACK),
    "acknowledged what was never delivered": _told(_STRANGE_ACK),
    "cancels the consumers": _told(_CANCEL),
    "waits a second for an acknowledgement": _held_too_long,
    "a subscriber full": _events_refused,
    "no queue bound for a device": _nobody_bound,
    "reply addresses gone": _askers_gone,
    "queue of commands deleted": _queue_deleted,
    "queue of dead letters deleted": _dead_queue_deleted,
    "queue of commands of another kind": _queue_of_another_kind,
    "exchange of commands deleted": _exchange_deleted("commands"),
    "exchange of events deleted": _events_exchange_deleted,
    "exchange of dead letters deleted": _exchange_deleted("dead"),
}
_OF_ONE_TRIAL_ONLY: Final = frozenset(
    {
        "acknowledged twice",
        "acknowledged what was never delivered",
        "cancels the consumers",
        "a subscriber full",
        "no queue bound for a device",
        "reply addresses gone",
        *(name for name in _ACTS if "deleted" in name or "another kind" in name),
    }
)
_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {"a subscriber full": PARKING}
_SHORT: Final = frozenset({"all connections closed", "cancels the consumers", "a subscriber full"})

FAULTS: Final[Sequence[Fault]] = [
    Fault(
        group=GROUP,
        name=name,
        act=act,
        settings=_SETTINGS.get(name, {}),
        commands=COMMANDS,
        harms_servers=name not in _OF_ONE_TRIAL_ONLY,
        is_short=name in _SHORT,
    )
    for name, act in _ACTS.items()
]
