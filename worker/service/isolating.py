"""A batch that fails through one of its commands: the one is found and put aside, the others never notice."""

import asyncio
import logging
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from worker.domain.commands import ByDevice, Command, CreateStream
from worker.service.answering import said_of_failure
from worker.service.batch import Batches
from worker.service.messages import Incoming, Received, Said
from worker.service.persisting import Persistence
from worker.service.ports import Renderer, ServiceError, StoreConflict, Transaction

log = logging.getLogger(__name__)

ALONE_PAUSE_S: Final = 0.1  # before the second try of a command on its own; doubled before each further one


@dataclass(slots=True, kw_only=True)
class _Suspect:
    """A command that failed on its own, and the later ones of its device that wait for what becomes of it."""

    message: Received
    next_at_s: float
    tries: int = 1
    behind: list[Incoming] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How often a command is tried that fails on its own, and who tries: the name stands in the database."""

    tries: int = 3
    worker: str


class Isolating:
    """Carries batches out; a command that alone makes its batch fail costs the others nothing but time.

    Belongs to the task that carries out batches.
    """

    def __init__(
        self,
        *,
        batches: Batches,
        persistence: Persistence,
        renderer: Renderer,
        trial: Trial,
        clock: Callable[[], datetime],
    ) -> None:
        self._batches = batches
        self._persistence = persistence
        self._renderer = renderer
        self._trial = trial
        self._clock = clock
        self._suspects: dict[Hashable, _Suspect] = {}

    async def carry_out(self, incoming: Sequence[Incoming]) -> list[Said]:
        """Carry out what came, but what waits behind a suspect; return what there is to say, in order.

        Raises EpochOver.
        """
        free = [message for message in incoming if not self._waits(message)]
        if not free:
            return []
        try:
            return [await self._batches.carry_out(free)]
        except Exception as error:  # noqa: BLE001 - the delivery's boundary: whatever a command provokes
            _unless_its_own(error)
            if len(free) == 1:
                self._suspect(free[0], error)
                return []
            log.info("batch.halved", extra={"size": len(free), "reason": type(error).__name__})
        half = len(free) // 2
        return [*await self.carry_out(free[:half]), *await self.carry_out(free[half:])]

    async def try_again(self) -> list[Said]:
        """Try the suspects whose time has come, and what waited behind those that are done. Raises EpochOver."""
        now_s = asyncio.get_running_loop().time()
        saids: list[Said] = []
        for subject in [subject for subject, suspect in self._suspects.items() if suspect.next_at_s <= now_s]:
            saids += await self._try(subject, self._suspects[subject])
        return saids

    async def finish(self) -> list[Said]:
        """Go on until nobody is suspected any more. Raises EpochOver."""
        saids: list[Said] = []
        while self._suspects:
            saids += await self.try_again()
            await asyncio.sleep(ALONE_PAUSE_S if self._suspects else 0)
        return saids

    def _waits(self, message: Incoming) -> bool:
        """Whether an earlier command for the same device is suspected; then this one waits behind it."""
        if not isinstance(message, Received):
            return False
        suspect = self._suspects.get(_subject(message.command))
        if suspect is None:
            return False
        suspect.behind.append(message)
        return True

    def _suspect(self, message: Incoming, error: Exception) -> None:
        assert isinstance(message, Received), "only commands are carried out in the database"  # noqa: S101
        log.warning("command.failed_alone", extra={"reason": type(error).__name__}, exc_info=error)
        next_at_s = asyncio.get_running_loop().time() + ALONE_PAUSE_S
        self._suspects[_subject(message.command)] = _Suspect(message=message, next_at_s=next_at_s)

    async def _try(self, subject: Hashable, suspect: _Suspect) -> list[Said]:
        try:
            said = await self._batches.carry_out([suspect.message])
        except Exception as error:  # the delivery's boundary: whatever a command provokes
            _unless_its_own(error)
            if not await self._is_given_up(suspect):
                return []
            detail = f"It failed {suspect.tries} times on its own: {type(error).__name__}."
            log.exception("command.given_up", extra={"tries": suspect.tries})
            said = said_of_failure(suspect.message, detail=detail, renderer=self._renderer)
        del self._suspects[subject]
        return [said, *await self.carry_out(suspect.behind)]

    async def _is_given_up(self, suspect: _Suspect) -> bool:
        """Whether it has had its tries, and it is the command: a database that does not even take a row of our own
        is away, and then nobody is to blame.
        """
        suspect.tries += 1
        pause_s = ALONE_PAUSE_S * 2 ** (suspect.tries - 1)
        suspect.next_at_s = asyncio.get_running_loop().time() + pause_s
        if suspect.tries < self._trial.tries:
            return False
        try:
            await self._persistence.once(self._sign_in)
        except ServiceError:
            suspect.tries = 1
            return False
        return True

    async def _sign_in(self, transaction: Transaction) -> None:
        await transaction.sign_in(self._trial.worker, self._clock())


def _unless_its_own(error: Exception) -> None:
    """Raise what is no command's fault: the end of the epoch. A conflict that never ends is one."""
    if isinstance(error, ServiceError) and not isinstance(error, StoreConflict):
        raise error


def _subject(command: Command) -> Hashable:
    """Return whom a command is for: a device, else whatever it names its stream by."""
    return ByDevice(device_id=command.device_id) if isinstance(command, CreateStream) else command.selector
