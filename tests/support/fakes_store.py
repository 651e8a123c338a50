"""A store in plain dictionaries: it keeps the promises of the port, and can be told to fail."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Handled, MessageKey, StoredEvent
from worker.service.ports import Attempt, StoreConflict, StoreUnavailable, Transaction
from worker.service.stored import SWEPT_MAX, UNPUBLISHED_MAX, Changes, Claim, Horizon, Loaded, Parking, Wanted
from worker.sql.shield import to_its_end

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRelayed:
    """Whose a device is, and how often its next event was refused."""

    worker: str = ""
    claimed_until: datetime
    sequence: int | None = None
    refusals: int = 0
    parked_at: datetime | None = None
    retry_at: datetime | None = None


@dataclass(kw_only=True)
class FakeTables:
    """What is saved. Tests may look, and may put things in before they begin."""

    devices: dict[str, Device] = field(default_factory=dict)
    streams: dict[UUID, Stream] = field(default_factory=dict)
    codes: dict[str, UUID] = field(default_factory=dict)
    active: dict[str, UUID] = field(default_factory=dict)  # by device
    events: dict[tuple[str, int], StoredEvent] = field(default_factory=dict)  # by device and sequence
    published: dict[UUID, datetime | None] = field(default_factory=dict)  # by event; None until it is
    handled: dict[MessageKey, Handled] = field(default_factory=dict)
    relayed: dict[str, FakeRelayed] = field(default_factory=dict)  # by device
    workers: dict[str, datetime] = field(default_factory=dict)  # when each was seen last

    def copy(self) -> "FakeTables":
        """Return a copy that changes apart from this one. The values in it are frozen and shared."""
        return FakeTables(**{name: dict(table) for name, table in vars(self).items()})

    @property
    def unpublished(self) -> list[StoredEvent]:
        """The outbox, by device and sequence."""
        return [event for _, event in sorted(self.events.items()) if self.published[event.id] is None]

    def is_unpublished(self, device_id: str, sequence: int | None) -> bool:
        """Whether the device has this event, and it is in the outbox."""
        event = self.events.get((device_id, sequence)) if sequence is not None else None
        return event is not None and self.published[event.id] is None


class FakeTransaction:
    """One transaction on a copy of the tables."""

    def __init__(self, tables: FakeTables) -> None:
        self.tables = tables
        self.failure: StoreConflict | None = None

    async def load(self, wanted: Wanted) -> Loaded:
        tables = self.tables
        for device_id in wanted.creating:
            tables.devices.setdefault(device_id, Device(id=device_id))
        ids = {id_ for id_ in wanted.stream_ids if id_ in tables.streams}
        ids |= {tables.codes[code] for code in wanted.codes if code in tables.codes}
        ids = {id_ for id_ in ids if _may_be_seen(wanted, tables.streams[id_])}
        meant = wanted.devices | wanted.creating | {tables.streams[id_].device_id for id_ in ids}
        locked = [tables.devices[id_] for id_ in sorted(meant) if id_ in tables.devices]
        ids |= {device.latest_stream_id for device in locked if device.latest_stream_id in tables.streams}
        return Loaded(
            devices=locked,
            streams=[tables.streams[id_] for id_ in ids],
            handled={key: tables.handled[key] for key in wanted.keys if key in tables.handled},
            **self._outbox_of([device.id for device in locked]),
        )

    def _outbox_of(self, device_ids: Sequence[str]) -> dict[str, Any]:
        outbox = self.tables.unpublished
        by_device = {id_: [e for e in outbox if e.device_id == id_] for id_ in device_ids}
        parked = {id_ for id_, events in by_device.items() if events and self._is_parked(id_)}
        return {
            "unpublished": [
                e for id_ in device_ids if id_ not in parked for e in by_device[id_][:UNPUBLISHED_MAX]
            ],
            "cut": frozenset(id_ for id_ in by_device if len(by_device[id_]) > UNPUBLISHED_MAX) - parked,
            "parked": frozenset(parked),
        }

    def _is_parked(self, device_id: str) -> bool:
        row = self.tables.relayed.get(device_id)
        return bool(row and row.parked_at) and self._is_held_up(device_id)

    def _is_held_up(self, device_id: str) -> bool:
        row = self.tables.relayed.get(device_id)
        return row is not None and self.tables.is_unpublished(device_id, row.sequence)

    async def save(self, changes: Changes) -> None:
        try:
            self._save(changes)
        except StoreConflict as error:
            self.failure = error
            raise

    def _save(self, changes: Changes) -> None:
        tables = self.tables
        tables.devices.update({device.id: device for device in changes.devices if device.id in tables.devices})
        for stream in changes.updated_streams:
            self._put_stream(stream)
        for stream in changes.new_streams:
            _refuse(stream.id in tables.streams, "stream", stream.id)
            _refuse(stream.code in tables.codes, "code", stream.code)
            self._put_stream(stream)
        for event in changes.events:
            self._put_event(event)
        for handled in changes.handled:
            _refuse(handled.identity.key in tables.handled, "message id", handled.identity.key)
            tables.handled[handled.identity.key] = handled
        for id_ in changes.published:
            if id_ in tables.published:
                tables.published[id_] = tables.published[id_] or changes.at

    async def claim(self, claim: Claim) -> Sequence[StoredEvent]:
        relayed, outbox = self.tables.relayed, self.tables.unpublished
        late = sorted({e.device_id for e in outbox if _is_late(e, claim) and e.device_id > claim.after})
        mine = [device_id for device_id in late if self._is_free(device_id, claim)][: claim.limit]
        for device_id in mine:
            row = relayed.get(device_id) or FakeRelayed(claimed_until=claim.until)
            relayed[device_id] = replace(row, worker=claim.worker, claimed_until=claim.until)
        waiting = {event.device_id for event in outbox}
        for device_id in list(relayed):
            row = relayed[device_id]
            if device_id not in waiting:
                if not claim.after:
                    del relayed[device_id]
            elif row.sequence is not None and not self._is_held_up(device_id):
                relayed[device_id] = FakeRelayed(worker=row.worker, claimed_until=row.claimed_until)
        lowest = [[e for e in outbox if e.device_id == device_id][:SWEPT_MAX] for device_id in mine]
        return [event for events in lowest for event in events][: claim.limit]

    def _is_free(self, device_id: str, claim: Claim) -> bool:
        row = self.tables.relayed.get(device_id)
        if row is None:
            return True
        rests = row.retry_at is not None and row.retry_at > claim.now and self._is_held_up(device_id)
        holds = claim.now < row.claimed_until < claim.far_ahead
        return not rests and (row.worker in {"", claim.worker} or not holds)

    async def refused(self, refused: Mapping[str, int], parking: Parking) -> Sequence[str]:
        parked = []
        for device_id, sequence in sorted(refused.items()):
            row = self.tables.relayed.get(device_id) or FakeRelayed(claimed_until=parking.at)
            if row.sequence != sequence:
                row = replace(row, sequence=sequence, refusals=0, parked_at=None, retry_at=None)
            row = replace(row, refusals=row.refusals + 1)
            if row.refusals >= parking.after:
                if row.parked_at is None:
                    parked.append(device_id)
                row = replace(row, parked_at=row.parked_at or parking.at, retry_at=parking.retry_at)
            self.tables.relayed[device_id] = row
        return parked

    async def prune(self, horizon: Horizon) -> int:
        tables = self.tables
        handled = [h for h in tables.handled.values() if h.at < horizon.handled_before]
        for old in sorted(handled, key=lambda h: h.at)[: horizon.limit]:
            del tables.handled[old.identity.key]
        before = horizon.events_before
        events = [e for e in tables.events.values() if before and tables.published[e.id] and e.at < before]
        for event in sorted(events, key=lambda e: e.at)[: horizon.limit]:
            del tables.events[event.device_id, event.sequence], tables.published[event.id]
        return min(len(handled), horizon.limit) + min(len(events), horizon.limit)

    async def sign_in(self, worker: str, at: datetime) -> None:
        seen = {**self.tables.workers, worker: at}
        self.tables.workers = {name: last for name, last in seen.items() if last >= at - timedelta(days=1)}

    def _put_stream(self, stream: Stream) -> None:
        tables = self.tables
        _refuse(stream.device_id not in tables.devices, "missing device", stream.device_id)
        if tables.active.get(stream.device_id) == stream.id:
            del tables.active[stream.device_id]
        if stream.is_active:
            _refuse(stream.device_id in tables.active, "active stream of", stream.device_id)
            tables.active[stream.device_id] = stream.id
        tables.streams[stream.id] = stream
        tables.codes[stream.code] = stream.id

    def _put_event(self, event: StoredEvent) -> None:
        tables = self.tables
        _refuse(event.device_id not in tables.devices, "missing device", event.device_id)
        _refuse((event.device_id, event.sequence) in tables.events, "sequence", event.sequence)
        _refuse(event.id in tables.published, "event", event.id)
        tables.events[event.device_id, event.sequence] = event
        tables.published[event.id] = None


class FakeAttempt:
    """Loads, and lets others go on; saves if they left the device as it was."""

    def __init__(self, store: "FakeStore") -> None:
        self._store = store
        self._seen: dict[str, int] = {}

    async def load(self, wanted: Wanted) -> Loaded:
        seen = FakeTransaction(self._store.tables.copy())
        loaded = await seen.load(replace(wanted, devices=wanted.devices | wanted.creating, creating=frozenset()))
        self._seen = {device.id: device.sequence for device in loaded.devices}
        return loaded

    async def save(self, changes: Changes) -> None:
        async def work(transaction: FakeTransaction) -> None:
            there = transaction.tables.devices
            for device in changes.devices:
                known = there[device.id].sequence if device.id in there else None
                _refuse(known != self._seen.get(device.id), "another's change of", device.id)
                there.setdefault(device.id, device)
            await transaction.save(changes)

        await self._store.run(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    error: Exception
    saved: bool


class FakeStore:
    """The database as the service sees it. Several workers may share one: their transactions take turns."""

    def __init__(self) -> None:
        self.tables = FakeTables()
        self.transactions = 0  # how many were begun
        self.is_away = False  # as long as it is, every call raises StoreUnavailable
        self._failures: deque[_Failure] = deque()
        self._turn = asyncio.Lock()

    def fail_next(self, error: Exception, *, saved: bool = False) -> None:
        """Have the next transaction fail at its end, after its work; call again for the one after it.

        Nothing is saved, unless `saved`: then it is, and only the answer is lost (CommitUnknown has both ways).
        """
        self._failures.append(_Failure(error=error, saved=saved))

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await to_its_end(self.run(work), name="fake.transaction")

    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        await self.ping()
        return await to_its_end(work(FakeAttempt(self)), name="fake.attempt")  # type: ignore[arg-type] # a coroutine

    async def ping(self) -> None:
        if self.is_away:
            raise StoreUnavailable("told to be away")

    async def close(self) -> None:
        async with self._turn:
            return

    async def run(self, work: Callable[["FakeTransaction"], Awaitable[T]]) -> T:
        async with self._turn:
            await self.ping()
            self.transactions += 1
            transaction = FakeTransaction(self.tables.copy())
            result = await work(transaction)
            if transaction.failure:
                raise transaction.failure
            failure = self._failures.popleft() if self._failures else None
            if failure is None or failure.saved:
                self.tables = transaction.tables
            if failure:
                raise failure.error
            return result


def _may_be_seen(wanted: Wanted, stream: Stream) -> bool:
    return wanted.means(stream_id=stream.id, code=stream.code, device_id=stream.device_id)


def _is_late(event: StoredEvent, claim: Claim) -> bool:
    return not claim.before <= event.at < claim.far_ahead


def _refuse(broken: bool, what: str, value: object) -> None:  # noqa: FBT001 - reads as a sentence
    if broken:
        raise StoreConflict(f"{what} {value}")
