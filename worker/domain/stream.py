"""A stream: one streaming session of one device, active and then stopped for ever."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Status(StrEnum):
    """The two states of a stream; there is no way back."""

    ACTIVE = "active"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream as it is at one version; change returns a new one.

    `version` counts the stream's own changes, from 1. Times are UTC.
    """

    id: UUID
    device_id: str
    code: str
    status: Status
    created_at: datetime
    stopped_at: datetime | None
    version: int

    @classmethod
    def start(cls, *, id: UUID, device_id: str, code: str, at: datetime) -> "Stream":  # noqa: A002 - the field's name
        """Begin a new, active stream at version 1."""
        return cls(
            id=id,
            device_id=device_id,
            code=code,
            status=Status.ACTIVE,
            created_at=at,
            stopped_at=None,
            version=1,
        )

    @property
    def is_active(self) -> bool:
        """Whether the device is streaming under this stream now."""
        return self.status is Status.ACTIVE

    def stop(self, at: datetime) -> "Stream":
        """Return the stopped stream. Only an active one can be stopped: ask `is_active` first."""
        return replace(self, status=Status.STOPPED, stopped_at=at, version=self.version + 1)
