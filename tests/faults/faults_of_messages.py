"""What can be wrong with messages: the same again, the same id for something else, poison, and a killer."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final

from tests.faults.aside import Aside, Wish
from tests.faults.broker_operator import Operator
from tests.faults.trial import Fault
from tests.faults.world import Act, World
from tests.support import raw_amqp as raw
from tests.support.broker_users import User, make
from tests.support.wire import Undertaker, eventually

GROUP: Final = "messages"

DEVICES: Final = 6
TIMES: Final = 5
LIVES: Final = 2
DELIVERY_LIMIT: Final = 3
KILLER: Final = "cam-killer"
DEAD_WITHIN_S: Final = 90.0

# Each in its own way no command, and none like another.
BAD_BODIES: Final = (
    *(b"", b"{", b"[]", b"null", b"17", b'"cam-1"', b"{}", b"not JSON at all", b'{"device_id": "cam-1"} '[:-2]),
    *(b'{"device_id": NaN}', b'{"device_id": 1e400}', rb'{"device_id": "\ud800"}', rb'{"device_id": "a\u0000"}'),
    *(
        b'{"device_id": "\xff"}',
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"device_id": "cam-1"}',
        b'{"device_id": ""}',
    ),
    b'{"device_id": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b'{"device_id": ' + b"9" * 5_000 + b"}",
    b'{"device_id": "' + b"x" * 65_536 + b'"}',
)


def _wishes(what: str) -> list[Wish]:
    """Something to do for a few devices of their own: a create, a stop, and a create again."""
    kinds = ("stream.create", "stream.stop", "stream.create")
    return [Wish.of(f"cam-{what}-{number}", kind=kind) for number in range(DEVICES) for kind in kinds]


@asynccontextmanager
async def _asleep(world: World) -> AsyncIterator[None]:
    """Have everybody's commands wait: those of a block come in one batch, as far as there is one worker."""
    for keeper in world.keepers:
        keeper.worker.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for keeper in world.keepers:
            keeper.worker.signal(signal.SIGCONT)


async def _again_in_a_batch(world: World) -> None:
    async with Aside(world) as aside:
        async with _asleep(world):
            requests = [await aside.tell(wish) for wish in _wishes("batch") for _ in range(TIMES)]
        await aside.answered(requests)


async def _again_across_batches(world: World) -> None:
    wishes = _wishes("batches")
    async with Aside(world) as aside:
        for _ in range(TIMES):
            for wish in wishes:
                await aside.ask(wish)


async def _again_across_workers(world: World) -> None:
    """From as many connections, all at once."""
    async with AsyncExitStack() as stack:
        asides = [await stack.enter_async_context(Aside(world)) for _ in range(TIMES)]
        for wish in _wishes("workers"):
            requests = await asyncio.gather(*(aside.tell(wish) for aside in asides))
            await asides[0].answered(requests)


async def _again_across_lives(world: World) -> None:
    wishes = _wishes("lives")
    async with Aside(world) as aside:
        for _ in range(LIVES):
            requests = [await aside.tell(wish) for wish in wishes]
            await asyncio.gather(*(keeper.worker.kill() for keeper in world.keepers))
            await aside.answered(requests)
        for wish in wishes:
            await aside.ask(wish)


async def _another_payload(world: World) -> None:
    """In the same batch, and in a later one."""
    wishes = _wishes("first")
    others = [replace(wish, body=b'{"device_id": "cam-other"}') for wish in wishes]
    async with Aside(world) as aside:
        async with _asleep(world):
            pairs = zip(wishes, others, strict=True)
            requests = [await aside.tell(wish) for pair in pairs for wish in pair]
        await aside.answered(requests)
        for wish in (*others, *wishes):
            await aside.ask(wish)


async def _another_sender(world: World) -> None:
    """Three users of the broker use the same ids, for the same and for something else."""
    broker = world.servers.broker
    write = f"^{world.namespace}\\.commands$"
    users = [User(name=f"{world.namespace}-{name}", write=write) for name in ("ann", "ben")]
    await make(broker, users)
    try:
        async with AsyncExitStack() as stack:
            asides = [
                await stack.enter_async_context(Aside(world)),
                *[await stack.enter_async_context(Aside(world, sender=u.name, url=u.url(broker))) for u in users],
            ]
            async with _asleep(world):
                requests = [await aside.tell(wish) for wish in _wishes("shared") for aside in asides]
            await asides[0].answered(requests)
            for wish in _wishes("own"):
                for number, aside in enumerate(asides):
                    own = Wish.of(f"cam-own-{number}", kind=wish.kind).body
                    await aside.ask(replace(wish, body=own))
    finally:
        for user in users:
            await Operator(world).ctl("delete_user", user.name)


async def _raw_poisons(world: World) -> None:
    """Alone, between good ones, and in a row."""
    async with Aside(world) as aside, raw.RawPublisher(world.servers.broker.url) as publisher:
        for how in ("between", "in a row"):
            async with AsyncExitStack() as stack:
                if how == "in a row":
                    await stack.enter_async_context(_asleep(world))
                for number, (flags, properties) in enumerate(raw.POISONS.values()):
                    body = b"poison %d %s" % (number, how.encode())
                    await aside.tell_raw(publisher, raw.header(flags, properties, body_size=len(body)), body)
                    if how == "between":
                        await aside.ask(Wish.of(f"cam-behind-{number}"))
        await aside.ask(Wish.of("cam-behind-all"))


async def _bad_bodies(world: World) -> None:
    """Some ask for an answer and get one; the others become dead letters."""
    async with Aside(world) as aside:
        requests = []
        for number, body in enumerate(BAD_BODIES):
            poison = Wish(body=body, is_poison=True, message_id=f"m-{number}" if number % 3 else None)
            if number % 2:
                await aside.tell_silently(poison)
            else:
                requests.append(await aside.tell(poison))
            requests.append(await aside.tell(Wish.of(f"cam-behind-{number}")))
        for kind in ("", "stream.explode", "stream.reply"):
            poison = Wish(body=json.dumps({"device_id": f"cam{kind}"}).encode(), kind=kind, is_poison=True)
            requests.append(await aside.tell(poison))
        await aside.answered(requests)


async def _killer(world: World) -> None:
    """Worker after worker dies of one message, until the broker gives it up; nobody else's is given up with it.

    It has no message id, so that it may have had an effect: an event without a cause. As there is another one.
    """
    operator = Operator(world)
    limit = json.dumps({"delivery-limit": DELIVERY_LIMIT})
    await operator.ctl("set_policy", world.namespace, f"^{operator.commands}$", limit)
    try:
        async with Aside(world) as aside, Undertaker(world.servers.broker.url, world.namespace) as undertaker:
            await aside.ask(Wish(body=b'{"device_id": "cam-nameless"}'))
            await aside.tell_silently(Wish(body=json.dumps({"device_id": KILLER}).encode(), is_poison=True))
            await eventually(lambda: undertaker.depth("dead"), within_s=DEAD_WITHIN_S)
            world.mended()  # until then it kills
    finally:
        await operator.ctl("clear_policy", world.namespace)


_ACTS: Final[Mapping[str, Act]] = {
    "the same five times in a batch": _again_in_a_batch,
    "the same five times across batches": _again_across_batches,
    "the same five times at once": _again_across_workers,
    "the same again across crashes": _again_across_lives,
    "the same id for something else": _another_payload,
    "the same id from others": _another_sender,
    "raw AMQP poisons": _raw_poisons,
    "bodies that are no commands": _bad_bodies,
}
_SHORT: Final = frozenset({"the same five times in a batch", "the same id for something else", "raw AMQP poisons"})

FAULTS: Final[Sequence[Fault]] = [
    *(Fault(group=GROUP, name=name, act=act, is_short=name in _SHORT) for name, act in _ACTS.items()),
    *(
        Fault(
            group=GROUP,
            name=f"one that kills the worker {when}",
            act=_killer,
            program="tests.faults.killer",
            settings={"KILLER": KILLER, "KILLER_WHEN": when},
        )
        for when in ("taken", "committed")
    ),
]
