"""The bodies of commands. Which command a body is stands in the message's `type`."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ConfigDict, Field, TypeAdapter, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schemas.fields import DeviceId, StreamId, WrittenCode
from schemas.names import CommandName
from schemas.wire import Wire, absent_not_null

_SELECTORS: Final = ("device_id", "stream_id", "code")


class CreateStream(Wire):
    """Give the device its active stream; make one if there is none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"device_id": "cam-1"}]})

    device_id: DeviceId


class _Selecting(Wire):
    """Names one stream, by exactly one of three members; the others are None here and absent on the wire."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"title": f"by {name}", "required": [name]} for name in _SELECTORS],
            "examples": [
                {"device_id": "cam-1"},
                {"stream_id": "0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"},
                {"code": "7K3M9QXA"},
            ],
        }
    )

    device_id: DeviceId | None = Field(
        default=None,
        json_schema_extra=absent_not_null,
        description="The device: its active stream is meant, else its latest.",
    )
    stream_id: StreamId | None = Field(default=None, json_schema_extra=absent_not_null)
    code: WrittenCode | None = Field(default=None, json_schema_extra=absent_not_null)

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, body: Any) -> Any:
        """Look at what was sent, before any member is read: a null is there, and contradicts another."""
        if isinstance(body, dict) and sum(name in body for name in _SELECTORS) != 1:
            raise PydanticCustomError("selector", "Exactly one of device_id, stream_id and code is required")
        return body

    @field_validator(*_SELECTORS, mode="before")
    @classmethod
    def _no_null(cls, member: Any) -> Any:
        """Refuse null. None is only what stands here for an absent member, and defaults are not validated."""
        if member is None:
            raise PydanticCustomError("null", "Input should be a valid string")
        return member


class StopStream(_Selecting):
    """End the stream that is named; ending an ended one succeeds and changes nothing."""


class GetStream(_Selecting):
    """Read the stream that is named."""


Command = CreateStream | StopStream | GetStream

COMMANDS: Final[Mapping[str, TypeAdapter[CreateStream] | TypeAdapter[StopStream] | TypeAdapter[GetStream]]] = {
    CommandName.CREATE: TypeAdapter(CreateStream),
    CommandName.STOP: TypeAdapter(StopStream),
    CommandName.GET: TypeAdapter(GetStream),
}
"""How to read each command, by the message's `type`."""
