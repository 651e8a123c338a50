"""The published contract: what goes over the wire, as pydantic models any Python client can import.

Tolerant in, strict out: unknown members are ignored, wrong ones refused; what is written has one form.
"""

from schemas.commands import COMMANDS, Command, CreateStream, GetStream, StopStream
from schemas.device_id import DEVICE_ID_LOOKS, is_device_id
from schemas.errors import FieldError, field_errors
from schemas.events import (
    AnyEvent,
    Event,
    LaterEvent,
    StreamCreated,
    StreamData,
    StreamStopped,
    UnreadableEvent,
    read_event,
    write_event,
)
from schemas.limits import (
    BODY_BYTES_MAX,
    CODE_CHARS,
    CODE_WRITTEN_CHARS_MAX,
    DEVICE_ID_CHARS_MAX,
    DEVICE_ID_PATTERN,
    MESSAGE_ID_CHARS_MAX,
)
from schemas.names import (
    CommandName,
    EventName,
    MediaType,
    Outcome,
    ProblemCode,
    ReplyName,
    StreamStatus,
)
from schemas.problems import PROBLEMS, Problem, ProblemKind, read_problem, write_problem
from schemas.replies import StreamReply, read_reply, write_reply
from schemas.stream import Stream

__all__ = [
    "BODY_BYTES_MAX",
    "CODE_CHARS",
    "CODE_WRITTEN_CHARS_MAX",
    "COMMANDS",
    "DEVICE_ID_CHARS_MAX",
    "DEVICE_ID_LOOKS",
    "DEVICE_ID_PATTERN",
    "MESSAGE_ID_CHARS_MAX",
    "PROBLEMS",
    "AnyEvent",
    "Command",
    "CommandName",
    "CreateStream",
    "Event",
    "EventName",
    "FieldError",
    "GetStream",
    "LaterEvent",
    "MediaType",
    "Outcome",
    "Problem",
    "ProblemCode",
    "ProblemKind",
    "ReplyName",
    "StopStream",
    "Stream",
    "StreamCreated",
    "StreamData",
    "StreamReply",
    "StreamStatus",
    "StreamStopped",
    "UnreadableEvent",
    "field_errors",
    "is_device_id",
    "read_event",
    "read_problem",
    "read_reply",
    "write_event",
    "write_problem",
    "write_reply",
]
