"""A store in plain dictionaries: it keeps the promises of the port, and can be told to fail."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Handled, MessageKey, StoredEvent
from worker.service.ports import Changes, Loaded, StoreConflict, StoreUnavailable, Transaction, Wanted
from worker.sql.shield import to_its_end

T = TypeVar("T")


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

    def copy(self) -> "FakeTables":
        """Return a copy that changes apart from this one. The values in it are frozen and shared."""
        return FakeTables(**{name: dict(table) for name, table in vars(self).items()})

    @property
    def unpublished(self) -> list[StoredEvent]:
        """The outbox, by device and sequence."""
        return [event for _, event in sorted(self.events.items()) if self.published[event.id] is None]


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
        meant = wanted.devices | wanted.creating | {tables.streams[id_].device_id for id_ in ids}
        locked = [tables.devices[id_] for id_ in sorted(meant) if id_ in tables.devices]
        ids |= {device.latest_stream_id for device in locked if device.latest_stream_id in tables.streams}
        return Loaded(
            devices=locked,
            streams=[tables.streams[id_] for id_ in ids],
            handled={key: tables.handled[key] for key in wanted.keys if key in tables.handled},
            unpublished=[event for event in tables.unpublished if event.device_id in meant],
        )

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

    async def unpublished(self, *, before: datetime, limit: int, after: str = "") -> Sequence[StoredEvent]:
        outbox = [event for event in self.tables.unpublished if event.device_id > after]
        late = {event.device_id for event in outbox if event.at < before}
        return [event for event in outbox if event.device_id in late][:limit]

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
        return await to_its_end(self._transact(work), name="fake.transaction")

    async def ping(self) -> None:
        if self.is_away:
            raise StoreUnavailable("told to be away")

    async def close(self) -> None:
        async with self._turn:
            return

    async def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
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


def _refuse(broken: bool, what: str, value: object) -> None:  # noqa: FBT001 - reads as a sentence
    if broken:
        raise StoreConflict(f"{what} {value}")
