"""What can happen between a worker and its servers: slow, in pieces, cut, silent in one direction or in both."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from tests.faults.trial import Fault
from tests.faults.world import SETUPS, Act, Database, Setup, World
from tests.support.line_faults import Fault as LineFault
from tests.support.line_faults import Side
from tests.support.proxy_lines import Lines

GROUP: Final = "network"
GROUP_OF_THE_DATABASE: Final = "network of the database"

LATENCY_S: Final = 0.2
SOME_TIME_S: Final = 4.0
BEYOND_HEARTBEATS_S: Final = 8.0  # three of the trials' heartbeats, and a little
REFUSED_S: Final = 3.0
CUT_WITHIN_S: Final = 30.0
# Through the hand-shake, a frame's header, the topology, and several messages with their confirms.
SWEPT_BYTES: Final = (0, 1, 7, 8, 60, 250, 500, 700, 900, 1_200, 1_700, 2_500)
FEW_BYTES: Final = (0, 1, 7, 8, 21, 60, 250)
OF_FEW_WORDS: Final = (
    "the direct replies' connection",
    "to_client",
)  # nothing but confirms, of a few of all replies
IN_BETWEEN: Final = 3  # answers, from one cut to the next
SWEEP_COMMANDS: Final = 600
SLOW_COMMANDS: Final = 100
_NONE_OPEN: Final = "there is no line that it could have harmed"

OF_THE_BROKER: Final = {
    "the consuming connection": "consume",
    "the publishing connection": "publish",
    "the direct replies' connection": "direct replies",
}
WITH_A_PROXY: Final = tuple(setup for setup in SETUPS if setup.database is Database.POSTGRESQL)

Choose = Callable[[World], Lines]
Harm = Callable[[Lines], Awaitable[None]]


def _broker(world: World) -> Lines:
    return world.amqp


def _kind(kind: str) -> Choose:
    return lambda world: world.amqp.of(kind)


def _database(world: World) -> Lines:
    assert world.sql is not None, "SQLite has no connections"
    return world.sql


def _for(duration_s: float, begin: Callable[[Lines], LineFault]) -> Harm:
    """A fault that is there for some time. It raises AssertionError where nobody met it."""

    async def harm(lines: Lines) -> None:
        fault = begin(lines)
        try:
            await asyncio.sleep(duration_s)
        finally:
            fault.remove()
        assert fault.acted.is_set(), "nothing passed that it could have harmed"

    return harm


async def _reset(lines: Lines) -> None:
    assert lines.names, _NONE_OPEN
    lines.cut()


async def _hang_up(lines: Lines) -> None:
    assert lines.names, _NONE_OPEN
    lines.hang_up()


async def _lock_out(lines: Lines) -> None:
    """Have nobody in for a while, and those that are in come again."""
    fault = lines.refuse()
    try:
        await _reset(lines)
        await asyncio.sleep(REFUSED_S)
    finally:
        fault.remove()
    assert fault.acted.is_set(), "nobody came whom it could have refused"


def _silent(side: Side) -> Harm:
    return _for(BEYOND_HEARTBEATS_S, lambda lines: lines.swallow(side))


HARMS: Final[Mapping[str, Harm]] = {
    "slow by 200 ms": _for(SOME_TIME_S, lambda lines: lines.delay(LATENCY_S)),
    "in slices of one byte": _for(SOME_TIME_S, lambda lines: lines.slice(1)),
    "reset": _reset,
    "hung up": _hang_up,
    "silent to the server": _silent("to_server"),
    "silent to the worker": _silent("to_client"),
    "silent": _silent("both"),
    "frozen for a while": _for(BEYOND_HEARTBEATS_S, lambda lines: lines.freeze()),
}


def _harmed(choose: Choose, harm: Harm) -> Act:
    async def act(world: World) -> None:
        await harm(choose(world))

    return act


def _swept(choose: Choose, side: Side, counts_bytes: Sequence[int]) -> Act:
    """Cut a connection after so many bytes, and the one that comes after it after a few more."""

    async def act(world: World) -> None:
        for count_bytes in counts_bytes:
            fault = choose(world).cut_after(count_bytes, side, once=True)
            try:
                async with asyncio.timeout(CUT_WITHIN_S):
                    await fault.acted.wait()
            finally:
                fault.remove()
            world.mended()
            await world.answered(IN_BETWEEN)

    return act


def _faults(group: str, whom: str, choose: Choose, setups: Sequence[Setup]) -> list[Fault]:
    harmed = [
        Fault(
            group=group,
            name=f"{whom} {how}",
            act=_harmed(choose, harm),
            setups=setups,
            commands=SLOW_COMMANDS,
            is_short=(whom, how) in SHORT,
        )
        for how, harm in HARMS.items()
    ]
    swept = [
        Fault(
            group=group,
            name=f"{whom} cut after so many bytes {where}",
            act=_swept(choose, side, FEW_BYTES if (whom, side) == OF_FEW_WORDS else SWEPT_BYTES),
            setups=setups,
            commands=SWEEP_COMMANDS,
        )
        for side, where in _SIDES.items()
    ]
    return [*harmed, *swept]


_SIDES: Final[Mapping[Side, str]] = {"to_server": "to the server", "to_client": "to the worker"}

SHORT: Final = frozenset(
    {
        ("all connections to the broker", "reset"),
        ("the publishing connection", "hung up"),
        ("the connections to the database", "reset"),
    }
)

FAULTS: Final[Sequence[Fault]] = [
    *_faults(GROUP, "all connections to the broker", _broker, SETUPS),
    *(fault for whom, kind in OF_THE_BROKER.items() for fault in _faults(GROUP, whom, _kind(kind), SETUPS)),
    Fault(group=GROUP, name="no new connection to the broker", act=_harmed(_broker, _lock_out)),
    *_faults(GROUP_OF_THE_DATABASE, "the connections to the database", _database, WITH_A_PROXY),
    Fault(
        group=GROUP_OF_THE_DATABASE,
        name="no new connection to the database",
        act=_harmed(_database, _lock_out),
        setups=WITH_A_PROXY,
    ),
]
