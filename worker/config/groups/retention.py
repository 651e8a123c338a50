"""How long is remembered what was answered and what was published."""

from typing import Final

from pydantic import BaseModel, Field

from worker.config import kinds

_TEN_YEARS_S: Final = 315_576_000


class RetentionSettings(BaseModel):
    """Of the settings, what pruning has to be told."""

    # A repeat that comes later than this is refused as expired: a week is longer than any queue here holds a
    # message, and than a device is offline over a long weekend.
    handled_retention_s: kinds.Seconds = Field(
        604_800, ge=1, le=_TEN_YEARS_S, description="that a command's answer is kept for its repeats"
    )
    # The history is what the worker is for: forgetting it has to be asked for.
    event_retention_s: kinds.OptionalSeconds = Field(
        None, ge=1, le=_TEN_YEARS_S, description="that a published event is kept; default: for ever"
    )
    # Whether a command is too old is told by the sender's clock, when to forget by ours. An hour covers any drift,
    # and a time zone that is set wrong by one.
    clock_skew_s: kinds.Seconds = Field(
        3_600, ge=0, le=86_400, description="that clocks may be apart; answers are kept this much longer"
    )
    # Often, so that each time there is little to do.
    prune_interval_s: kinds.Seconds = Field(
        600, ge=0.05, le=86_400, description="between looks for what is too old"
    )
    # A step is a transaction beside the pipeline's: over in milliseconds.
    prune_batch_max: int = Field(200, ge=1, le=10_000, description="rows that are forgotten in one step at most")
