"""Commands on their way through, and their events: how many at once, and how often something is tried."""

from pydantic import BaseModel, Field

from worker.config import kinds


class WorkSettings(BaseModel):
    """Of the settings, what the pipeline and the relay have to be told."""

    # A transaction's fixed cost is spread thin by then, and it still ends in tens of milliseconds. The limit: a
    # few bound parameters a row, and a statement takes some 32,700.
    batch_max: int = Field(256, ge=1, le=2_000, description="commands in one transaction at most")
    # A database that restarts is back by then, and its commands cost no delivery count. The limit: far under the
    # 30 minutes after which the broker takes whoever holds a message for stuck, and ends its channel.
    hold_s: kinds.Seconds = Field(
        15, ge=0, le=600, description="that commands in hand are held while the database is away; 0 = back at once"
    )
    # Once by chance, once more to be sure, and once for the rare thing that fails twice. A single failure says
    # nothing: there is always a second try.
    command_tries: int = Field(3, ge=2, le=100, description="times that a command that fails on its own is tried")

    # Over the time that a batch, its confirms and a redelivery take.
    relay_grace_s: kinds.Seconds = Field(30, ge=0, le=86_400, description="that an event may stay unpublished")
    # An indexed look for nulls; it is a net under the pipeline, not part of it.
    relay_interval_s: kinds.Seconds = Field(10, ge=0.05, le=3_600, description="between the relay's looks")
    # As a batch: what one transaction and one round of confirms carry well.
    relay_batch_max: int = Field(256, ge=1, le=2_000, description="events that the relay takes up at once at most")
    # A full queue seldom empties within a moment; the relay has the patience.
    event_retries: int = Field(3, ge=0, le=100, description="times that a refused event is tried again in place")
    # With the relay's interval some minutes: a subscriber's queue that is full for longer has nobody who empties
    # it, and it is time that somebody hears of it.
    park_after: int = Field(
        10, ge=1, le=100_000, description="rounds in which a device's next event is refused until it is parked"
    )
    # An hour: seldom enough to cost nothing, often enough that nobody has to free an event by hand.
    parked_retry_s: kinds.Seconds = Field(
        3_600, ge=0.05, le=604_800, description="between tries of an event that is parked"
    )
