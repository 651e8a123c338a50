"""What each command does. Handlers decide and return; they never publish."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from worker.domain.commands import ByDevice, Command, CreateStream, Selector, StopStream
from worker.domain.outcomes import Done, Outcome, Result
from worker.domain.refusals import NotFound
from worker.domain.roster import Roster
from worker.domain.stream import Stream

CODE_DRAWS_MAX: Final = 16


class CodesExhausted(RuntimeError):
    """The source of codes gave only codes that are taken: it is broken, for there are 2^40."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mint:
    """What a new stream is made of, so that deciding stays a pure function of its arguments."""

    now: datetime
    new_id: Callable[[], UUID]
    new_code: Callable[[], str]


def decide(roster: Roster, command: Command, mint: Mint, *, only_for: str | None = None) -> Outcome:
    """Carry one command out against the roster, change the roster, and return what came of it.

    With `only_for` the asker may know of this device's streams only: another's is not found, in the same words.
    """
    match command:
        case CreateStream(device_id=device_id):
            return _create(roster, device_id, mint)
        case StopStream(selector=selector):
            return _stop(roster, roster.find(selector, only_for=only_for), selector, mint.now)
        case _:
            return _found(roster.find(command.selector, only_for=only_for), command.selector)


def _create(roster: Roster, device_id: str, mint: Mint) -> Outcome:
    latest = roster.find(ByDevice(device_id=device_id))
    if latest and latest.is_active:
        return Done(result=Result.REUSED, stream=latest)
    stream = Stream.start(id=mint.new_id(), device_id=device_id, code=_free_code(roster, mint), at=mint.now)
    return Done(result=Result.CREATED, stream=stream, event=roster.begin(stream))


def _free_code(roster: Roster, mint: Mint) -> str:
    """Draw a code that nobody here bears. One that is taken elsewhere is found by the database when the batch
    is saved; then the batch begins again, with new codes.
    """
    for _ in range(CODE_DRAWS_MAX):
        code = mint.new_code()
        if not roster.has_code(code):
            return code
    raise CodesExhausted(f"{CODE_DRAWS_MAX} codes drawn, all of them taken")


def _found(stream: Stream | None, selector: Selector) -> Outcome:
    return Done(result=Result.FOUND, stream=stream) if stream else NotFound(selector=selector)


def _stop(roster: Roster, stream: Stream | None, selector: Selector, now: datetime) -> Outcome:
    if stream is None:
        return NotFound(selector=selector)
    if not stream.is_active:
        return Done(result=Result.ALREADY_STOPPED, stream=stream)
    event = roster.stop(stream, now)
    return Done(result=Result.STOPPED, stream=event.stream, event=event)
