"""What keeps a worker running, as an orchestrator does: one that ends is started again."""

import asyncio
import re
import signal
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from typing_extensions import override

from tests.faults.failpoints import HIT
from tests.support.worker_process import WorkerProcess

LOOK_S: Final = 0.05
WORKER_WITH_FAULTS: Final = "tests.faults.worker"

_HIT: Final = re.compile(rf"^{HIT} ", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """What is wrong with a worker from the inside, in its first life: a failpoint, or its clock. Whoever starts it
    again has set it right.
    """

    failpoint: str | None = None
    clock_off_s: float = 0.0

    @property
    def environ(self) -> Mapping[str, str]:
        """What a worker with faults is told; nothing for a sound one."""
        told = {"CLOCK_OFF_S": str(self.clock_off_s)} if self.clock_off_s else {}
        return told | ({"FAILPOINT": self.failpoint} if self.failpoint else {})


SOUND: Final = Ailment()


class Keeper(AbstractAsyncContextManager["Keeper"]):
    """Keeps one worker, whose lives are called `name-1`, `name-2`, …; `codes` are how they have ended.

    `program` is what runs in the place of a worker without an ailment.
    """

    def __init__(
        self, settings: Mapping[str, str], *, name: str, ailment: Ailment = SOUND, program: str | None = None
    ) -> None:
        self._settings = settings
        self._program = program
        self._name = name
        self._ailment = ailment
        self._keeping: asyncio.Task[None] | None = None
        self._lives: list[WorkerProcess] = []
        self.codes: list[int] = []

    @property
    def worker(self) -> WorkerProcess:
        """The worker in its present life."""
        return self._lives[-1]

    @property
    def log(self) -> str:
        """What it has logged in all of its lives."""
        return "".join(life.log for life in self._lives)  # each keeps its log beyond its end

    @property
    def crashes(self) -> int:
        """How often it ended without being asked to, or without having drained."""
        return sum(code != 0 for code in self.codes)

    @property
    def is_hit(self) -> bool:
        """Whether its failpoint was reached."""
        return _HIT.search(self._lives[0].log) is not None

    async def begin(self) -> None:
        """Start it, and wait until it consumes."""
        self._begin_life()
        try:
            await self.worker.ready()
        except BaseException:
            await self.worker.discard()
            raise
        self._keeping = asyncio.create_task(self._keep(), name="keeper")

    async def end(self) -> None:
        """Keep it no longer: ask it to stop, and leave nothing behind but its log."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._lives and self.worker.is_running:
            self.worker.signal(signal.SIGCONT)
            await self.worker.stop()
        for life in self._lives:
            await life.discard()

    @override
    async def __aenter__(self) -> Self:
        await self.begin()
        return self

    @override
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    async def ready(self) -> None:
        """Wait until it consumes, in whichever life."""
        while True:
            life = self.worker
            try:
                await life.ready()
            except AssertionError:
                if life is self.worker and life.is_running:
                    raise
                await asyncio.sleep(LOOK_S)
            else:
                return

    def _begin_life(self) -> None:
        environ = {} if self._lives else self._ailment.environ
        name = {"STREAMS_WORKER_NAME": f"{self._name}-{len(self._lives) + 1}"}
        program = WORKER_WITH_FAULTS if environ else self._program
        told = {**self._settings, **name, **environ}
        self._lives.append(
            WorkerProcess(told, program=program, is_covered=False)
        )  # the load is for its full speed
        self.worker.start()

    async def _keep(self) -> None:
        while True:
            if not self.worker.is_running:
                self.codes.append(await self.worker.exit_code())
                self._begin_life()
            await asyncio.sleep(LOOK_S)


def reruns_of(keepers: Iterable[Keeper]) -> int:
    """How often a transaction began again because the database was away: each time it says so once."""
    return sum(keeper.log.count('"database.unavailable"') for keeper in keepers)
