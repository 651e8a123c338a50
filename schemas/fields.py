"""The types of members that more than one model has."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from schemas.device_id import DEVICE_ID_LOOKS, is_device_id
from schemas.limits import (
    CODE_CHARS,
    CODE_PATTERN,
    CODE_WRITTEN_CHARS_MAX,
    CODE_WRITTEN_PATTERN,
    DEVICE_ID_CHARS_MAX,
    DEVICE_ID_PATTERN,
)

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_WRITTEN_CODE: Final = re.compile(CODE_WRITTEN_PATTERN.removeprefix("^").removesuffix("$"))
_FORGIVEN: Final = str.maketrans("ILO", "110", "- ")


def _read_device_id(written: str) -> str:
    """Refuse what is no device id with a sentence for people, where pydantic would show them the pattern."""
    if not is_device_id(written):
        raise PydanticCustomError("device_id", f"Input should be a device id: {DEVICE_ID_LOOKS}")
    return written


def _read_uuid(written: object) -> UUID:
    """Accept the one written form. Pydantic would take more of them, and quote the input in its message."""
    if isinstance(written, UUID):
        return written
    if isinstance(written, str) and _UUID.fullmatch(written):
        return UUID(written)
    raise PydanticCustomError("stream_id", "Input should be a UUID: 32 hexadecimal digits as 8-4-4-4-12")


def _read_code(written: str) -> str:
    """Return the eight characters that are meant. The pattern is ASCII only: upper() turns a few letters of other
    alphabets into ours.
    """
    if not _WRITTEN_CODE.fullmatch(written):
        raise PydanticCustomError(
            "code",
            "Input should be a code: 8 digits and letters, without U; case, hyphens and spaces do not matter",
        )
    return written.upper().translate(_FORGIVEN)


def _to_utc(at: datetime) -> datetime:
    """Raise ValueError where UTC has no such year: nobody who reads a stranger's text expects an OverflowError."""
    try:
        return at if at.tzinfo is UTC else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("before the first or after the last year") from error


def write_time(at: datetime) -> str:
    """Return a time as it is written. Six digits always, also where they are zeros: the same time is the same
    bytes.
    """
    return f"{_to_utc(at).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


DeviceId = Annotated[
    str,
    Field(
        description="The device, by the name it was given.",
        examples=["cam-1"],
        json_schema_extra={"maxLength": DEVICE_ID_CHARS_MAX, "pattern": DEVICE_ID_PATTERN},
    ),
    AfterValidator(_read_device_id),
]

StreamId = Annotated[
    UUID,
    BeforeValidator(_read_uuid),
    Field(
        description="The stream, by its id: a UUID.",
        examples=["0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"],
    ),
]

WrittenCode = Annotated[
    str,
    Field(
        max_length=CODE_WRITTEN_CHARS_MAX,
        description="The stream, by its code as somebody wrote it down: in any case, with hyphens and spaces, "
        "with I or L for 1 and O for 0.",
        examples=["7K3M9QXA", "7k3m-9qxa"],
        json_schema_extra={"pattern": CODE_WRITTEN_PATTERN},
    ),
    AfterValidator(_read_code),
]

Code = Annotated[
    str,
    Field(
        min_length=CODE_CHARS,
        max_length=CODE_CHARS,
        pattern=CODE_PATTERN,
        description="The short, shareable name of the stream, unique over all streams ever made.",
        examples=["7K3M9QXA"],
    ),
]

Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_to_utc),
    PlainSerializer(write_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-01-12T09:30:00.123456Z"]}),
]
"""A time in UTC, with microseconds."""

_Word = TypeVar("_Word", bound=StrEnum)

OrLater = Annotated[Annotated[_Word, Field(strict=False)] | SkipJsonSchema[str], Field(union_mode="left_to_right")]
"""One of our words, or a text that is none of them: one that came later than the reader. We never write any."""
