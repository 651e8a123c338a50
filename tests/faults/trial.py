"""One trial: a load, a fault in the middle of it, time to recover, and the verdict."""

import asyncio
import secrets
import traceback
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from tests.faults.checks.health import Footprint, nothing_leaks
from tests.faults.checks.verdict import Circumstances, Verdict, verdict
from tests.faults.crowd import Plan
from tests.faults.journal import now_s
from tests.faults.keeper import Ailment, reruns_of
from tests.faults.record import write_record
from tests.faults.snapshot import read_snapshot
from tests.faults.watcher import Watcher
from tests.faults.world import SETUPS, Act, Servers, Setup, World, world

COMMANDS: Final = 150
RATE_PER_S: Final = 60.0
BEFORE: Final = 25  # answers, until the fault comes
SPOKEN_WITHIN_S: Final = 90.0
SETTLED_WITHIN_S: Final = 45.0
ENDED_WITHIN_S: Final = 240.0
LEFT_WITHIN_S: Final = 10.0  # by then connections that are being closed are gone
LOOKS: Final = 6  # when all is well again


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that can go wrong, and that is over when `act` returns, or when it has called `World.mended`.

    `failpoint` and a clock that is `clock_off_s` off are the first worker's; `settings` are the workers', and
    `program` is what runs in the place of each. `harms_servers`: what other trials share, so that none may run
    beside it. `is_short`: part of the short form.
    """

    group: str
    name: str
    act: Act
    setups: Sequence[Setup] = SETUPS
    failpoint: str | None = None
    clock_off_s: float = 0.0
    program: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    commands: int = COMMANDS
    harms_servers: bool = False
    is_short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a trial. `log` is what the workers logged, and `record` a file of what everybody else saw.

    `trouble` is what kept it from its end, such as a deadline that passed; then there is no verdict.
    """

    fault: Fault
    setup: Setup
    seed: int
    verdict: Verdict | None
    trouble: str = ""
    crashes: int = 0
    log: str = ""
    record: Path

    @property
    def is_good(self) -> bool:
        """Whether it came to its end, and every promise held."""
        return self.verdict is not None and self.verdict.is_good


async def trial(servers: Servers, fault: Fault, setup: Setup, *, seed: int, is_watched: bool = True) -> Outcome:
    """Run one trial. It raises nothing for what goes wrong in it; a trial that is not good leaves a `.log` beside
    its record. `is_watched`: look at the workers all the time, which costs some seconds.
    """
    namespace = f"f{secrets.token_hex(4)}"
    plan = Plan(seed=seed, commands=fault.commands, rate_per_s=RATE_PER_S, patience_s=1.0, sender="guest")
    ailment = Ailment(failpoint=fault.failpoint, clock_off_s=fault.clock_off_s)
    result, trouble, keepers = None, "", []
    try:
        async with (
            asyncio.timeout(ENDED_WITHIN_S),
            world(
                servers,
                setup,
                plan,
                namespace=namespace,
                ailment=ailment,
                program=fault.program,
                **fault.settings,
            ) as around,
        ):
            keepers = list(around.keepers)
            result = await (_watched(around, fault) if is_watched else _unwatched(around, fault))
    except Exception as error:  # noqa: BLE001 - a trial's boundary: the run goes on
        trouble = f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"
    outcome = Outcome(
        fault=fault,
        setup=setup,
        seed=seed,
        verdict=None if trouble else result,
        trouble=trouble,
        crashes=sum(keeper.crashes for keeper in keepers),
        log="\n".join(keeper.log for keeper in keepers),
        record=servers.folder / f"{namespace}.jsonl",
    )
    if not outcome.is_good:
        outcome.record.with_suffix(".log").write_text(f"{outcome.log}\n{outcome.verdict}\n{trouble}", "utf-8")
    return outcome


async def _unwatched(around: World, fault: Fault) -> Verdict:
    healed_at_s = await _endure(around, fault)
    return await _judge(around, _circumstances(around, healed_at_s))


async def _watched(around: World, fault: Fault) -> Verdict:
    async with Watcher(around) as watcher:
        async with watcher.looking_away():
            before = await watcher.footprint_with_tasks()
        healed_at_s = await _endure(around, fault)
        settled_at_s = now_s()
        await watcher.looked(LOOKS)
        async with watcher.looking_away():
            after = await _footprint_in_the_end(watcher, before)
    circumstances = replace(
        _circumstances(around, healed_at_s),
        settled_at_s=settled_at_s,
        pulses=watcher.pulses,
        footprints=(before, after),
    )
    return await _judge(around, circumstances)


async def _endure(around: World, fault: Fault) -> float:
    """Have the crowd speak, the fault come and go, and everything come to rest; return when the fault ended."""
    async with _speaking(around) as spoken:
        if fault.failpoint is None:  # else it may have come by then
            await around.answered(BEFORE)
        await fault.act(around)
        healed_at_s = around.mended_at_s or now_s()
        async with asyncio.timeout(SPOKEN_WITHIN_S):
            await spoken
    await around.crowd.settle(around.database_url, within_s=SETTLED_WITHIN_S)
    await around.ready()
    return healed_at_s


@asynccontextmanager
async def _speaking(around: World) -> AsyncIterator[asyncio.Task[None]]:
    speaking = asyncio.create_task(around.crowd.speak(), name="crowd.speak")
    try:
        yield speaking
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


async def _footprint_in_the_end(watcher: Watcher, before: Footprint) -> Footprint:
    """Return it as soon as it is no more than before: what is closed takes a moment to be gone."""
    give_up_at_s = now_s() + LEFT_WITHIN_S
    while True:
        after = await watcher.footprint_with_tasks()
        if not nothing_leaks(before, after) or now_s() > give_up_at_s:
            return after
        await asyncio.sleep(1)


def _circumstances(around: World, healed_at_s: float) -> Circumstances:
    return Circumstances(
        healed_at_s=healed_at_s,
        within_s=SETTLED_WITHIN_S,
        crashes=sum(keeper.crashes for keeper in around.keepers),
        reruns=reruns_of(around.keepers),
        seen=around.amqp.wire_log(),
    )


async def _judge(around: World, circumstances: Circumstances) -> Verdict:
    history = await around.crowd.history(gone=around.gone, unheard=around.unheard)
    snapshot = await read_snapshot(around.database_url)
    write_record(around.servers.folder / f"{around.namespace}.jsonl", history, snapshot)
    return verdict(history, snapshot, circumstances)
