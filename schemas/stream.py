"""A stream as replies and events show it."""

from typing import Final

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from schemas.fields import Code, DeviceId, OrLater, StreamId, Timestamp
from schemas.names import StreamStatus
from schemas.wire import Wire

STREAM_EXAMPLE: Final[JsonDict] = {
    "id": "0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34",
    "device_id": "cam-1",
    "code": "7K3M9QXA",
    "status": "active",
    "created_at": "2026-01-12T09:30:00.123456Z",
    "stopped_at": None,
    "version": 1,
}


class Stream(Wire):
    """One streaming session of one device, active and then stopped for ever."""

    model_config = ConfigDict(json_schema_extra={"examples": [STREAM_EXAMPLE]})

    id: StreamId
    device_id: DeviceId
    code: Code
    status: OrLater[StreamStatus] = Field(
        description="`active` until the stream is ended, then `stopped` for ever."
    )
    created_at: Timestamp = Field(description="When it began, in UTC, always with six decimals.")
    stopped_at: Timestamp | None = Field(
        description="When it ended, in UTC, always with six decimals; null while it is active."
    )
    version: int = Field(ge=1, description="Counts the stream's own changes, from 1.", examples=[1])
