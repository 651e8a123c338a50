"""What the database is asked, and what it tells: the values between the service and its database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.messages import Handled, MessageKey, StoredEvent

UNPUBLISHED_MAX: Final = 256  # of one device in one batch; a busy one has as many in hand of several workers
SWEPT_MAX: Final = 32  # of one device in one sweep: each waits for the one before, and all others wait too


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a batch needs to see: devices, by their own ids or by those and the codes of their streams. A
    transaction locks them, and makes those in `creating` that are not there.

    `only_for` has the streams that not everybody may see, by the id or the code that names them, and the devices
    that may: one that is another's is passed over like one that is not there, by the same statements.
    """

    devices: frozenset[str] = frozenset()
    creating: frozenset[str] = frozenset()
    stream_ids: frozenset[UUID] = frozenset()
    codes: frozenset[str] = frozenset()
    keys: frozenset[MessageKey] = frozenset()
    only_for: Mapping[UUID | str, frozenset[str]] = field(default_factory=dict)

    def means(self, *, stream_id: UUID, code: str, device_id: str) -> bool:
        """Whether this stream is named by somebody who may see it."""
        names = [name for name, named in ((stream_id, self.stream_ids), (code, self.codes)) if name in named]
        return any(name not in self.only_for or device_id in self.only_for[name] for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a batch sees: its devices, the streams it named and each device's latest, what was answered
    to its message ids, and these devices' events that are not known to be published, in order.

    Of a device with more than `UNPUBLISHED_MAX` of them only so many, the lowest, are there; it is in `cut`. Those
    in `parked` have an event that the broker refused too often: theirs are left to the relay, and not there.
    """

    devices: Sequence[Device] = ()
    streams: Sequence[Stream] = ()
    handled: Mapping[MessageKey, Handled] = field(default_factory=dict)
    unpublished: Sequence[StoredEvent] = ()
    cut: frozenset[str] = frozenset()
    parked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a batch leaves behind. `published` marks events of earlier batches, by id, as published at `at`."""

    at: datetime
    devices: Sequence[Device] = ()
    updated_streams: Sequence[Stream] = ()
    new_streams: Sequence[Stream] = ()
    events: Sequence[StoredEvent] = ()
    handled: Sequence[Handled] = ()
    published: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the relay takes over: the devices that come after `after` and have an event from before `before` that
    was never confirmed, but no parked one, and that no other worker has taken. They are its own until `until`. Of
    each device `SWEPT_MAX` events at most are taken at a time, so that none holds up the others.

    Nobody waits for a time that is `far_ahead`: what another has taken until then is free, and an event from then
    is an old one.
    """

    worker: str
    now: datetime
    until: datetime
    before: datetime
    limit: int
    after: str = ""

    @property
    def far_ahead(self) -> datetime:
        """From here on, times are of a clock that is wrong: it is further ahead of ours than any claim lasts.
        Whose it was may be dead, and then nobody would look after the device until our clock is there too.
        """
        return self.until + (self.until - self.now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parking:
    """When the relay gives a device a rest: its next event was refused `after` times. It is tried again from
    `retry_at` on.
    """

    at: datetime
    after: int
    retry_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """What may be forgotten: commands handled before `handled_before`, and events published that happened before
    `events_before` (None: never). `limit` of each at most go at a time.
    """

    handled_before: datetime
    events_before: datetime | None
    limit: int
