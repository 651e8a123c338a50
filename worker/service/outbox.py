"""What the database has to be told, and asked, about events: which are published, which refused, which left."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from worker.service.messages import Said, StoredEvent
from worker.service.outstanding import Outstanding
from worker.service.persisting import Persistence
from worker.service.ports import Transaction
from worker.service.stored import SWEPT_MAX, Changes, Claim, Parking

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkingPolicy:
    """A device whose next event was refused in `after` rounds of tries is parked: tried again only every `rest_s`,
    or when somebody asks for it.
    """

    after: int = 10
    rest_s: float = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep found to say. `cut_at`: where its limit was reached, the last device; more may be behind it.
    `has_more`: it saw only the lowest events of a device, or not all devices.
    """

    said: Said
    cut_at: str
    has_more: bool


class Outbox:
    """The events of one epoch in the database. Belongs to the task that carries out batches."""

    def __init__(
        self,
        *,
        persistence: Persistence,
        outstanding: Outstanding,
        parking: ParkingPolicy,
        clock: Callable[[], datetime],
    ) -> None:
        self._persistence = persistence
        self._outstanding = outstanding
        self._parking = parking
        self._clock = clock

    async def mark(self) -> None:
        """Write down what was published and refused, if anything was: for when no batch comes to do it."""
        if self._outstanding.confirmed or self._outstanding.refused:
            self._has_written_down(await self._persistence.persist(self._write_down))

    async def sweep(self, claim: Claim) -> Swept:
        """Write down what was published and refused, then claim the events that nobody has published.

        It begins with a row of our own: a database that can be read and takes no writes is away.
        """

        async def look(transaction: Transaction) -> tuple[_Written, Sequence[StoredEvent]]:
            await transaction.sign_in(claim.worker, claim.now)
            return await self._write_down(transaction), await transaction.claim(claim)

        written, unpublished = await self._persistence.persist(look)
        events = self._outstanding.claim(unpublished)
        self._has_written_down(written)
        cut_at = unpublished[-1].device_id if len(unpublished) >= claim.limit else ""
        fullest = max(Counter(event.device_id for event in unpublished).values(), default=0)
        has_more = bool(cut_at) or fullest >= SWEPT_MAX
        return Swept(said=Said(events=events), cut_at=cut_at, has_more=has_more)

    async def _write_down(self, transaction: Transaction) -> "_Written":
        """Devices first, marks last: as a batch does it, so that workers wait for each other in one direction."""
        at = self._clock()
        published, refused = self._outstanding.confirmed, self._outstanding.refused
        retry_at = at + timedelta(seconds=self._parking.rest_s)
        parking = Parking(at=at, after=self._parking.after, retry_at=retry_at)
        parked = await transaction.refused(refused, parking) if refused else ()
        await transaction.save(Changes(at=at, published=published))
        return _Written(published=published, refused=refused, parked=parked)

    def _has_written_down(self, written: "_Written") -> None:
        """Forget it: not before it is committed and, an event just marked would look unpublished, not before what
        was read with it is claimed.
        """
        self._outstanding.marked(written.published)
        self._outstanding.noted(written.refused)
        for device_id in written.parked:
            log.error("event.parked", extra={"device_id": device_id, "sequence": written.refused[device_id]})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    published: Sequence[UUID]
    refused: Mapping[str, int] = field(default_factory=dict)
    parked: Sequence[str] = ()
