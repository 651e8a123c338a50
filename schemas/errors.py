"""Where a body does not fit its command."""

from pydantic import ConfigDict, Field, ValidationError

from schemas.wire import Wire


class FieldError(Wire):
    """One thing that is wrong with the body."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pointer": "/device_id", "detail": "Field required"}]}
    )

    pointer: str = Field(
        description="The wrong member as a JSON Pointer (RFC 6901); empty where the whole body is meant.",
        examples=["/device_id"],
    )
    detail: str = Field(description="What is wrong with it, for people. It never quotes what was sent.")


def field_errors(error: ValidationError) -> tuple[FieldError, ...]:
    """Return what pydantic found, with pointers, and without a trace of the input."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple(FieldError(pointer=_pointer(one["loc"]), detail=one["msg"]) for one in found)


def _pointer(location: tuple[int | str, ...]) -> str:
    """Write a location as RFC 6901, section 3 has it."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)
