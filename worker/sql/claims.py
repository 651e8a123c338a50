"""Which worker's relay looks after which device."""

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.messages import StoredEvent
from worker.service.stored import SWEPT_MAX, Claim
from worker.sql.outbox import lowest_of
from worker.sql.rows import event_from
from worker.sql.tables import UtcTime, devices, relayed_devices, stream_events
from worker.sql.unlocked import unlocked

NOBODY: Final = ""

_waiting: Final = stream_events.alias("waiting")
_row: Final = relayed_devices.alias("relayed")


async def claim(connection: AsyncConnection, claim: Claim, *, insert: Callable[[Table], Any]) -> list[StoredEvent]:
    """Take devices over, tidy up, and return the events of what was taken: four statements, whatever there is.

    Workers go past each other: a device that anybody has locked (a batch, `refused`, another claim) is passed over
    until the next look. In a transaction that does more this stands last.

    Only the workers' clocks tell who owns a device. Where they differ by more than a claim lasts, two workers may
    own one. That is waste and nothing else: both publish its events, the same bytes with the same ids, and each
    from the lowest that is not confirmed, so that what first appears is in order all the same.
    """
    await connection.execute(_take(claim, insert))
    if not claim.after:  # once a round is enough, for it looks at every row
        await connection.execute(_FORGET)
    await connection.execute(_START_ANEW)
    rows = await connection.execute(_events(claim))
    return [event_from(row) for row in rows]


def _take(claim: Claim, insert: Callable[[Table], Any]) -> Any:
    columns = ["device_id", "worker", "claimed_until", "refusals"]
    taking = insert(relayed_devices).from_select(columns, _free_devices(claim))
    # Another's claim may be committed between the look at the rows and the lock on the device: it shows only here.
    is_free = or_(relayed_devices.c.worker.in_([NOBODY, claim.worker]), ~_holds(relayed_devices, claim))
    mine = {"worker": taking.excluded.worker, "claimed_until": taking.excluded.claimed_until}
    return taking.on_conflict_do_update(index_elements=["device_id"], set_=mine, where=is_free)


def _free_devices(claim: Claim) -> Select[Any]:
    """Select the first devices whose turn it is, as rows of ours.

    They come in the order in which they are found, which is ascending, and a sort would have to find them all.
    """
    found = _devices_with_events(claim.after)
    is_taken = and_(_row.c.worker.not_in([NOBODY, claim.worker]), _holds(_row, claim))
    is_parked = and_(_row.c.retry_at > claim.now, _is_waiting(_row))
    is_kept_out = exists().where(_row.c.device_id == devices.c.id, or_(is_taken, is_parked))
    return (
        select(devices.c.id, literal(claim.worker), literal(claim.until, UtcTime()), literal(0))
        .select_from(found.join(devices, devices.c.id == found.c.device_id))
        .where(_is_late(devices.c.id, claim), ~is_kept_out)
        .limit(claim.limit)
        .with_for_update(of=devices, skip_locked=True)
    )


def _devices_with_events(after: str) -> CTE:
    """Go from device to device along the index of the outbox. One that has a hundred thousand events there takes
    one step, as any other does: DISTINCT would read them all.
    """
    first = select(func.min(stream_events.c.device_id).label("device_id")).where(
        stream_events.c.published_at.is_(None), stream_events.c.device_id > after
    )
    found = first.cte("found", recursive=True)
    following = (
        select(func.min(_waiting.c.device_id))
        .where(_waiting.c.published_at.is_(None), _waiting.c.device_id > found.c.device_id)
        .scalar_subquery()
    )
    return found.union_all(select(following).where(found.c.device_id.is_not(None)))


def _holds(row: Any, claim: Claim) -> ColumnElement[bool]:
    """Whether its owner's time is not up yet."""
    return and_(row.c.claimed_until > claim.now, row.c.claimed_until < claim.far_ahead)


def _is_late(device_id: ColumnElement[str], claim: Claim) -> ColumnElement[bool]:
    return exists().where(
        _waiting.c.device_id == device_id,
        _waiting.c.published_at.is_(None),
        or_(_waiting.c.at < claim.before, _waiting.c.at >= claim.far_ahead),
    )


def _is_waiting(row: Any) -> ColumnElement[bool]:
    """Whether the event that was refused last is still to be published."""
    return exists().where(
        _waiting.c.device_id == row.c.device_id,
        _waiting.c.sequence == row.c.sequence,
        _waiting.c.published_at.is_(None),
    )


def _events(claim: Claim) -> Select[Any]:
    is_mine = and_(
        relayed_devices.c.worker == claim.worker,
        relayed_devices.c.claimed_until == claim.until,  # taken by this claim, not by one before
        _is_late(relayed_devices.c.device_id, claim),
        or_(relayed_devices.c.retry_at.is_(None), relayed_devices.c.retry_at <= claim.now),
    )
    return (
        select(stream_events)
        .select_from(stream_events)
        .join(relayed_devices, lowest_of(relayed_devices.c.device_id, SWEPT_MAX))
        .where(is_mine, relayed_devices.c.device_id > claim.after)
        .order_by(stream_events.c.device_id, stream_events.c.sequence)
        .limit(claim.limit)
    )


_nothing_waits: Final = ~exists().where(
    _waiting.c.device_id == _row.c.device_id, _waiting.c.published_at.is_(None)
)
# Whoever's it was: there is no reason for the row any more.
_FORGET: Final = delete(relayed_devices).where(
    unlocked(relayed_devices, select(_row.c.device_id).where(_nothing_waits))
)
# The event that was refused is published after all; the ones behind it have done nothing wrong.
_START_ANEW: Final = (
    update(relayed_devices)
    .where(
        unlocked(relayed_devices, select(_row.c.device_id).where(_row.c.sequence.is_not(None), ~_is_waiting(_row)))
    )
    .values(sequence=null(), refusals=0, parked_at=null(), retry_at=null())
)
