"""What can happen to a database: locked, slow, full, read-only, away, and gone in the middle of a COMMIT."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from devtools.postgres import PrivatePostgres
from tests.faults import commits_of_postgresql as commits
from tests.faults import harms_of_postgresql as postgresql
from tests.faults import harms_of_sqlite as sqlite
from tests.faults.outage import Harm, an_outage, nobody_works, nothing_is_acknowledged
from tests.faults.trial import Fault
from tests.faults.world import SETUPS, Act, Database, Setup, World
from tests.support.wire import eventually

GROUP: Final = "database"

ON_SQLITE: Final = tuple(setup for setup in SETUPS if setup.database is Database.SQLITE)
ON_POSTGRESQL: Final = tuple(setup for setup in SETUPS if setup.database is Database.POSTGRESQL)

FOR_S: Final = 3.0  # beyond the patience of the workers, with these settings
LONG_S: Final = 10.0
COMMANDS: Final = 200
MANY_COMMANDS: Final = 400  # where the fault has to meet them

# An outage is noticed in about a second, and what is in hand goes back in two. A broker that is slow, because the
# machine has much to do, is none.
IMPATIENT: Final[Mapping[str, str]] = {
    "STREAMS_CONNECT_TIMEOUT_S": "5",
    "STREAMS_CONFIRM_TIMEOUT_S": "10",
    "STREAMS_SETTLE_TIMEOUT_S": "5",
    "STREAMS_DATABASE_TIMEOUT_S": "1",
    "STREAMS_DATABASE_LOCK_TIMEOUT_S": "0.5",
    "STREAMS_HOLD_S": "2",
}
PATIENT: Final[Mapping[str, str]] = {**IMPATIENT, "STREAMS_HOLD_S": "60"}


def _outage(harm: Harm, *, for_s: float = FOR_S) -> Act:
    """Nobody can work meanwhile, and everybody knows."""

    async def act(world: World) -> None:
        async with an_outage(world), harm(world):
            await nobody_works(world)
            await nothing_is_acknowledged(world, for_s=for_s)

    return act


def _trouble(harm: Harm, *, for_s: float) -> Act:
    """Some work is done meanwhile, perhaps."""

    async def act(world: World) -> None:
        async with an_outage(world), harm(world):
            await asyncio.sleep(for_s)

    return act


def _away_at_start(harm: Harm) -> Act:
    """The workers die, and what is started in their place finds no database."""

    async def act(world: World) -> None:
        async with an_outage(world), harm(world):
            before = sum(len(keeper.codes) for keeper in world.keepers)
            await asyncio.gather(*(keeper.worker.kill() for keeper in world.keepers))

            async def look() -> bool:
                return sum(len(keeper.codes) for keeper in world.keepers) - before == len(world.keepers)

            await eventually(look)
            await nobody_works(world)
            await nothing_is_acknowledged(world, for_s=FOR_S)

    return act


def _fault(
    name: str,
    act: Act,
    setups: Sequence[Setup],
    *,
    settings: Mapping[str, str] = IMPATIENT,
    commands: int = COMMANDS,
    harms_servers: bool = False,
    is_short: bool = False,
) -> Fault:
    return Fault(
        group=GROUP,
        name=name,
        act=act,
        setups=setups,
        settings=settings,
        commands=commands,
        harms_servers=harms_servers,
        is_short=is_short,
    )


_OF_SQLITE: Final = [
    _fault("locked for 10 s", _outage(sqlite.locked, for_s=LONG_S), ON_SQLITE, settings=PATIENT),
    _fault("locked beyond the patience", _outage(sqlite.locked), ON_SQLITE, is_short=True),
    _fault("locked again and again", _trouble(sqlite.contended, for_s=LONG_S), ON_SQLITE),
    _fault("its disk full", _outage(sqlite.full), ON_SQLITE, is_short=True),
    _fault("locked when a worker starts", _away_at_start(sqlite.locked), ON_SQLITE),
]

_RESTARTED: Final = postgresql.server(PrivatePostgres.stop, PrivatePostgres.start)
_KILLED: Final = postgresql.server(PrivatePostgres.kill, PrivatePostgres.start)
_FROZEN: Final = postgresql.server(PrivatePostgres.pause, PrivatePostgres.resume)

_OF_POSTGRESQL: Final = [
    _fault("locked for 10 s", _outage(postgresql.locked, for_s=LONG_S), ON_POSTGRESQL, settings=PATIENT),
    _fault("locked beyond the patience", _outage(postgresql.locked), ON_POSTGRESQL),
    _fault("slow by 2 s a statement", _trouble(postgresql.slow, for_s=LONG_S), ON_POSTGRESQL),
    _fault("sessions ended again and again", _trouble(postgresql.terminated, for_s=5), ON_POSTGRESQL),
    _fault("sessions that die in COMMIT", commits.died_in, ON_POSTGRESQL, is_short=True),
    _fault("answers to COMMIT lost", commits.unanswered, ON_POSTGRESQL, commands=MANY_COMMANDS),
    _fault(
        "devices locked in the other order",
        commits.deadlocked,
        ON_POSTGRESQL,
        settings={},  # whoever waits for a lock is found to be in a deadlock after a second
        commands=MANY_COMMANDS,
    ),
    _fault("its disk full", _outage(postgresql.full), ON_POSTGRESQL),
    _fault("read-only", _outage(postgresql.read_only), ON_POSTGRESQL, is_short=True),
    _fault("restarted", _outage(_RESTARTED, for_s=0.5), ON_POSTGRESQL, harms_servers=True),
    _fault("killed", _outage(_KILLED), ON_POSTGRESQL, harms_servers=True, is_short=True),
    _fault("frozen for 8 s", _outage(_FROZEN, for_s=8), ON_POSTGRESQL, harms_servers=True),
    _fault("without a session left", _outage(postgresql.crowded), ON_POSTGRESQL, harms_servers=True),
    _fault("unreachable", _outage(postgresql.unreachable), ON_POSTGRESQL),
    _fault("unreachable when a worker starts", _away_at_start(postgresql.unreachable), ON_POSTGRESQL),
]

FAULTS: Final[Sequence[Fault]] = [*_OF_SQLITE, *_OF_POSTGRESQL]
