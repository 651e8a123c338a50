"""Steady load and a random fault every few seconds, for as long as one likes; then everything is judged."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from tests.faults.checks.health import Footprint, nothing_leaks
from tests.faults.checks.verdict import Circumstances, Verdict, verdict
from tests.faults.crowd import Plan
from tests.faults.journal import now_s
from tests.faults.keeper import SOUND, reruns_of
from tests.faults.record import write_record
from tests.faults.snapshot import read_snapshot
from tests.faults.soak_faults import faults_for
from tests.faults.soaked import Moment, Soaked
from tests.faults.watcher import Watcher
from tests.faults.world import Servers, Setup, World, world

RATE_PER_S: Final = 40.0
COMMANDS_MAX: Final = 10_000_000  # until the crowd is told to be quiet
WARM_S: Final = 20.0
WARM_SHARE_MAX: Final = 0.2  # of a short one
QUIET_S: Final = (0.5, 4.0)  # between two faults
SAY_EVERY_S: Final = 5.0
BACK_WITHIN_S: Final = 90.0
SETTLED_WITHIN_S: Final = 120.0
LEFT_WITHIN_S: Final = 30.0
LOOKS: Final = 6

# An outage is noticed soon; but a machine that is busy with all of this at once is none.
SETTINGS: Final = {
    "STREAMS_CONNECT_TIMEOUT_S": "5",
    "STREAMS_CONFIRM_TIMEOUT_S": "5",
    "STREAMS_SETTLE_TIMEOUT_S": "5",
    "STREAMS_DATABASE_TIMEOUT_S": "2",
    "STREAMS_DATABASE_LOCK_TIMEOUT_S": "1",
    "STREAMS_HOLD_S": "2",
}


async def soak(
    servers: Servers, setup: Setup, *, length_s: float, seed: int, say: Callable[[Moment], None]
) -> Soaked:
    """Run one. The first worker is never ended: at the end it must occupy what it did when it was warm.

    Raises what a fault raises that cannot be done or undone, and TimeoutError where a worker does not come back.
    """
    namespace = f"s{secrets.token_hex(4)}"
    plan = Plan(seed=seed, commands=COMMANDS_MAX, rate_per_s=RATE_PER_S, patience_s=1.0, sender="guest")
    async with (
        world(servers, setup, plan, namespace=namespace, ailment=SOUND, program=None, **SETTINGS) as around,
        Watcher(around) as watcher,
    ):
        soaking = _Soaking(world=around, watcher=watcher, rng=Random(seed), say=say)
        try:
            return await soaking.to_its_end(length_s)
        finally:
            log = "\n".join(keeper.log for keeper in around.keepers)
            (servers.folder / f"{namespace}.log").write_text(log, "utf-8")


@dataclass(slots=True, kw_only=True)
class _Soaking:
    """One that is under way."""

    world: World
    watcher: Watcher
    rng: Random
    say: Callable[[Moment], None]
    began_s: float = field(default_factory=now_s)
    faults: Counter[str] = field(default_factory=Counter)
    now: str = "warming up"

    async def to_its_end(self, length_s: float) -> Soaked:
        crowd = self.world.crowd
        async with self._told(), crowd.speaking(confirmed_within_s=BACK_WITHIN_S):
            await asyncio.sleep(min(WARM_S, length_s * WARM_SHARE_MAX))
            before = await self._footprint()
            await self._go_wrong(self.began_s + length_s)
            healed_at_s, self.now = now_s(), "settling"
            async with asyncio.timeout(BACK_WITHIN_S):
                await self.world.ready()
        await crowd.settle(self.world.database_url, within_s=SETTLED_WITHIN_S)
        await self.world.ready()
        settled_at_s = now_s()
        await self.watcher.looked(LOOKS)
        after = await self._footprint_in_the_end(before)
        circumstances = Circumstances(
            healed_at_s=healed_at_s,
            within_s=SETTLED_WITHIN_S,
            settled_at_s=settled_at_s,
            crashes=self._crashes,
            reruns=reruns_of(self.world.keepers),
            pulses=self.watcher.pulses,
            footprints=(before, after),
            seen=self.world.amqp.wire_log(),
        )
        return Soaked(
            setup=self.world.setup,
            length_s=length_s,
            faults=self.faults,
            crashes=self._crashes,
            verdict=await self._judged(circumstances),
            before=before,
            after=after,
        )

    async def _go_wrong(self, ends_at_s: float) -> None:
        faults = faults_for(self.world.setup)
        while now_s() < ends_at_s:
            fault = self.rng.choice(faults)
            self.now = fault.name
            self.faults[fault.name] += 1
            await fault.happen(self.world, self.rng)
            self.now = "quiet"
            await asyncio.sleep(self.rng.uniform(*QUIET_S))

    async def _judged(self, circumstances: Circumstances) -> Verdict:
        history, snapshot = await self.world.crowd.history(), await read_snapshot(self.world.database_url)
        write_record(self.world.servers.folder / f"{self.world.namespace}.jsonl", history, snapshot)
        return await asyncio.to_thread(verdict, history, snapshot, circumstances)

    async def _footprint(self) -> Footprint:
        first = replace(self.world, keepers=self.world.keepers[:1])
        return await Watcher(first).footprint_with_tasks()

    async def _footprint_in_the_end(self, before: Footprint) -> Footprint:
        """Return it as soon as it is no more than before: an idle worker is to come to that."""
        give_up_at_s = now_s() + LEFT_WITHIN_S
        while True:
            after = await self._footprint()
            if not nothing_leaks(before, after) or now_s() > give_up_at_s:
                return after
            await asyncio.sleep(1)

    @property
    def _crashes(self) -> int:
        return sum(keeper.crashes for keeper in self.world.keepers)

    @asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Say every few seconds how far it is."""
        telling = asyncio.create_task(self._tell(), name="soak.tell")
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(SAY_EVERY_S)
            journal = self.world.crowd.journal
            moment = Moment(
                at_s=now_s() - self.began_s,
                now=self.now,
                asked=journal.requests,
                answered=journal.answers,
                events=journal.events,
                crashes=self._crashes,
                footprint=self.watcher.footprint(),
            )
            self.say(moment)
