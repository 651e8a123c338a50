"""Events: facts that already happened, as CloudEvents 1.0 in structured mode."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.config import JsonDict

from schemas.fields import StreamId, Timestamp
from schemas.limits import MESSAGE_ID_CHARS_MAX, SEQUENCE_PATTERN
from schemas.names import EventName, MediaType
from schemas.stream import STREAM_EXAMPLE, Stream
from schemas.version import schema_urn
from schemas.wire import Wire, absent_not_null, is_none

_EXAMPLE: Final[JsonDict] = {
    "specversion": "1.0",
    "id": "3f0c1d52-6c2b-5d0e-8a55-0f6b0d1e9c77",
    "source": "/streams",
    "type": "stream.created",
    "subject": STREAM_EXAMPLE["id"],
    "time": "2026-01-12T09:30:00.123456Z",
    "datacontenttype": "application/json",
    "dataschema": "urn:streams:schema:stream:1",
    "sequence": "1",
    "causationid": "5b1f0f1c2f1e4a1f8f3f6f3c0e0f9a11",
    "data": {"stream": STREAM_EXAMPLE},
}
_STOPPED: Final[JsonDict] = {
    **STREAM_EXAMPLE,
    "status": "stopped",
    "stopped_at": "2026-01-12T10:30:00.000000Z",
    "version": 2,
}
_STOPPED_EXAMPLE: Final[JsonDict] = {
    **_EXAMPLE,
    "id": "b7de5f0a-53a0-5a83-9e0e-2f8f2f6a4d10",
    "type": "stream.stopped",
    "time": "2026-01-12T10:30:00.000000Z",
    "sequence": "2",
    "causationid": "c7e5c1f7e3a94d0f8a3b1d2e6f709152",
    "data": {"stream": _STOPPED},
}

_TYPE: Final = "What happened; also the AMQP property `type`, and how the routing key begins."


class UnreadableEvent(ValueError):
    """These bytes are no event."""


class StreamData(Wire):
    """What an event is about."""

    stream: Stream = Field(description="The whole stream, as the change left it.")


class _Envelope(Wire):
    """What every event has."""

    specversion: Literal["1.0"] = Field(default="1.0", description="The version of CloudEvents.")
    id: UUID = Field(
        description="Made from the stream and its version: the same fact always has the same id, which tells a "
        "repeat.",
        examples=[_EXAMPLE["id"]],
    )
    source: str = Field(
        default="/streams",
        min_length=1,
        json_schema_extra={"format": "uri-reference"},
        description="Who says so. With `id` it is unique, as CloudEvents wants it.",
        examples=["/streams"],
    )
    type: str = Field(description=_TYPE)
    subject: StreamId = Field(description="The stream that it happened to, by its id.")
    time: Timestamp = Field(
        description="When it happened, in UTC, by the clock of the worker that did it. For the order go by "
        "`sequence`."
    )
    datacontenttype: Literal["application/json"] = Field(
        default=MediaType.JSON.value, description="The media type of `data`."
    )
    dataschema: str = Field(
        default=schema_urn("stream"),
        json_schema_extra={"format": "uri", "const": schema_urn("stream")},
        description="The schema of `data`; its name ends in the version of the contract.",
        examples=[schema_urn("stream")],
    )
    sequence: str = Field(
        pattern=SEQUENCE_PATTERN,
        description="Counts the device's events over all its streams: 1, 2, … without a gap. Decimal digits in a "
        "string, without leading zeros: compare it as a number of 64 bits (a `BigInt` in JavaScript).",
        examples=["1"],
    )
    causationid: str | None = Field(
        default=None,
        max_length=MESSAGE_ID_CHARS_MAX,
        exclude_if=is_none,
        json_schema_extra=absent_not_null,
        description="The message_id of the command that caused it; absent where it had none.",
        examples=[_EXAMPLE["causationid"]],
    )
    data: StreamData = Field(description="The fact itself: the whole stream, so that nobody has to ask for it.")

    @property
    def number(self) -> int:
        """The sequence as a number."""
        return int(self.sequence)

    @property
    def stream(self) -> Stream:
        """The stream, as the change left it."""
        return self.data.stream


class StreamCreated(_Envelope):
    """A device began a stream."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    type: Literal[EventName.CREATED] = Field(default=EventName.CREATED, description=_TYPE)


class StreamStopped(_Envelope):
    """A stream ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [_STOPPED_EXAMPLE]})

    type: Literal[EventName.STOPPED] = Field(default=EventName.STOPPED, description=_TYPE)


class LaterEvent(_Envelope):
    """Something happened that this version has no word for. Acknowledge and ignore it; the sequence of its device
    counts it all the same.
    """


Event = StreamCreated | StreamStopped
AnyEvent = Event | LaterEvent

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
_LATER: Final = TypeAdapter(LaterEvent)

# The union's adapter would write them too, after looking for the right member each time.
_WRITERS: Final[Mapping[EventName, TypeAdapter[Any]]] = {
    EventName.CREATED: TypeAdapter(StreamCreated),
    EventName.STOPPED: TypeAdapter(StreamStopped),
}


def write_event(event: Event) -> bytes:
    """Return the body of an event."""
    return _WRITERS[event.type].dump_json(event)


def read_event(body: bytes) -> AnyEvent:
    """Read the body of an event; members that it does not know are ignored.

    Raises UnreadableEvent, which says where it does not fit but quotes nothing.
    """
    try:
        return _EVENT.validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] != "union_tag_invalid":
            raise UnreadableEvent(_why(error)) from error
    try:
        return _LATER.validate_json(body)
    except ValidationError as error:
        raise UnreadableEvent(_why(error)) from error


def _why(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    where = ", ".join(".".join(map(str, one["loc"])) or "the body" for one in found)
    return f"not an event; what does not fit: {where}"
