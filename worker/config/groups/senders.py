"""Who may do what, and how much of it."""

from typing import Literal

from pydantic import BaseModel, Field

from worker.config import kinds


class SenderSettings(BaseModel):
    """Of the settings, what is asked of a command's sender."""

    # What works with a broker fresh from its package, which has one user. Where senders are strangers to one
    # another, each has a user of its own and this is `device`.
    authorization: Literal["open", "device"] = Field(
        "open", description="open: anybody may do anything; device: a device for itself, operators for all"
    )
    # Nobody is more than the others until somebody says so.
    operators: kinds.UserNames = Field(
        frozenset(), description="AMQP users who may act for every device, with commas between them"
    )
    # A limit that nobody chose would refuse a fleet that comes back after an outage.
    sender_rate: float = Field(
        0, ge=0, le=1_000_000, allow_inf_nan=False, description="commands a second of one sender; 0 = no limit"
    )
    # What a device says at once when it comes back, several times over.
    sender_burst: int = Field(
        50, ge=1, le=1_000_000, description="commands of one sender that may come at once, over the rate"
    )
