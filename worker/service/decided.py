"""Deciding a whole batch: a pure function of what came in and what was loaded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from worker.domain.commands import ByCode, ByDevice, ById, Command, CreateStream, GetStream, Selector
from worker.domain.outcomes import Done
from worker.domain.refusals import MessageIdReused
from worker.domain.roster import Roster
from worker.service.handlers import Mint, decide
from worker.service.messages import Answer, Handled, MessageKey, Received, StoredEvent
from worker.service.ports import Renderer
from worker.service.stored import Changes, Loaded, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of a batch: an answer for each command in order, what to save, and the events that are due.

    `due` are the new events and those that were there before, of the devices of which a command of the batch, new
    or repeated, asked something. A device that was only looked at is not made to speak, and a parked one is left
    to the relay. Of the devices in `cut` some older events may be missing.
    """

    answers: Sequence[Answer]
    changes: Changes
    due: Sequence[StoredEvent]
    cut: frozenset[str] = frozenset()


def wanted_by(batch: Sequence[Received]) -> Wanted:
    """Return what has to be loaded before the batch can be decided."""
    selectors = [_selector(received.command) for received in batch]
    return Wanted(
        devices=frozenset(s.device_id for s in selectors if isinstance(s, ByDevice)),
        creating=frozenset(r.command.device_id for r in batch if isinstance(r.command, CreateStream)),
        stream_ids=frozenset(s.stream_id for s in selectors if isinstance(s, ById)),
        codes=frozenset(s.code for s in selectors if isinstance(s, ByCode)),
        keys=frozenset(r.key for r in batch if r.key),
        only_for=_hidden(zip(selectors, batch, strict=True)),
    )


def _hidden(asked: Iterable[tuple[Selector, Received]]) -> dict[UUID | str, frozenset[str]]:
    """Return the ids and codes that were asked for only by those who may not see every stream, and by whom."""
    askers: dict[UUID | str, set[str | None]] = {}
    for selector, received in asked:
        match selector:
            case ById(stream_id=name) | ByCode(code=name):
                askers.setdefault(name, set()).add(received.only_for)
            case _:
                pass
    return {name: frozenset(map(str, devices)) for name, devices in askers.items() if None not in devices}


def _selector(command: Command) -> Selector:
    return ByDevice(device_id=command.device_id) if isinstance(command, CreateStream) else command.selector


def decide_batch(
    batch: Sequence[Received], loaded: Loaded, *, mint: Mint, renderer: Renderer, published: Sequence[UUID]
) -> Decided:
    """Decide each command in delivery order and render what it says to its final bytes.

    A repeat, of an earlier batch or of this one, gets the first one's answer and changes nothing.
    """
    roster = Roster(devices=loaded.devices, streams=loaded.streams)
    book = _Book(loaded, roster, mint, renderer)
    answers = [book.answer(received) for received in batch]
    acting = frozenset(d for received in batch if (d := _acted_on(roster, received))) - loaded.parked
    return Decided(
        answers=answers,
        changes=Changes(
            at=mint.now,
            devices=roster.changed_devices,
            updated_streams=roster.updated_streams,
            new_streams=roster.new_streams,
            events=book.events,
            handled=book.handled,
            published=published,
        ),
        due=[event for event in (*loaded.unpublished, *book.events) if event.device_id in acting],
        cut=loaded.cut,
    )


def _acted_on(roster: Roster, received: Received) -> str | None:
    if isinstance(received.command, GetStream):
        return None
    stream = roster.find(_selector(received.command), only_for=received.only_for)
    return stream.device_id if stream else None


class _Book:
    """The answers of one batch while they are being made."""

    def __init__(self, loaded: Loaded, roster: Roster, mint: Mint, renderer: Renderer) -> None:
        self._known: dict[MessageKey, Handled] = dict(loaded.handled)
        self._roster = roster
        self._mint = mint
        self._renderer = renderer
        self.events: list[StoredEvent] = []
        self.handled: list[Handled] = []

    def answer(self, received: Received) -> Answer:
        identity = received.identity
        if identity is None:
            return self._carry_out(received, causation_id=None)
        first = self._known.get(identity.key)
        if first is None:
            answer = self._carry_out(received, causation_id=identity.key.message_id)
            first = self._known[identity.key] = Handled(identity=identity, answer=answer, at=self._mint.now)
            self.handled.append(first)
        if first.identity.digest != identity.digest:
            return self._renderer.answer(MessageIdReused(message_id=identity.key.message_id))
        return first.answer

    def _carry_out(self, received: Received, *, causation_id: str | None) -> Answer:
        outcome = decide(self._roster, received.command, self._mint, only_for=received.only_for)
        if isinstance(outcome, Done) and outcome.event is not None:
            self.events.append(self._renderer.event(outcome.event, causation_id=causation_id))
        return self._renderer.answer(outcome)
