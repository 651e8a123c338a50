"""The answer to a command that was refused: a problem as RFC 9457 has it, and members of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.json_schema import SkipJsonSchema

from schemas.errors import FieldError
from schemas.names import ProblemCode
from schemas.wire import Wire, absent_not_null, is_none


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """What all problems of one code have in common. `retryable`: asking again later can help, and is harmless."""

    status: int
    title: str
    retryable: bool = False


PROBLEMS: Final[Mapping[ProblemCode, ProblemKind]] = {
    ProblemCode.MALFORMED: ProblemKind(status=400, title="Malformed body"),
    ProblemCode.UNKNOWN_COMMAND: ProblemKind(status=400, title="Unknown command"),
    ProblemCode.FORBIDDEN: ProblemKind(status=403, title="Forbidden"),
    ProblemCode.NOT_FOUND: ProblemKind(status=404, title="Stream not found"),
    ProblemCode.MESSAGE_ID_REUSED: ProblemKind(status=409, title="Message id reused"),
    ProblemCode.EXPIRED: ProblemKind(status=410, title="Command expired"),
    ProblemCode.TOO_LARGE: ProblemKind(status=413, title="Body too large"),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: ProblemKind(status=415, title="Unsupported media type"),
    ProblemCode.INVALID: ProblemKind(status=422, title="Invalid command"),
    ProblemCode.TOO_MANY_REQUESTS: ProblemKind(status=429, title="Too many requests", retryable=True),
    ProblemCode.INTERNAL: ProblemKind(status=500, title="Internal error", retryable=True),
}


class Problem(Wire):
    """Why a command was not carried out. It never quotes what was sent beyond the identifiers it names."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:streams:problem:not-found",
                    "title": "Stream not found",
                    "status": 404,
                    "detail": "No stream has the code 7K3M9QXA.",
                    "code": "not_found",
                    "retryable": False,
                    "errors": [],
                }
            ]
        }
    )

    type: str = Field(description="The kind of problem as a URN.", examples=["urn:streams:problem:not-found"])
    title: str = Field(description="The kind of problem, for people; the same for every one of its kind.")
    status: int = Field(ge=400, le=599, description="The HTTP status it is most like; advisory.", examples=[404])
    detail: str = Field(description="This one problem, for people.", examples=["No stream has the code 7K3M9QXA."])
    code: Annotated[ProblemCode, Field(strict=False)] | SkipJsonSchema[str] = Field(
        union_mode="left_to_right",  # a text that is no code of ours is one that came later: we never write one
        description="The kind of problem, for programs.",
        examples=["not_found"],
    )
    retryable: bool = Field(description="Whether the same command can succeed later.")
    errors: tuple[FieldError, ...] = Field(
        default=(), description="Where the body does not fit the command; empty for every other problem."
    )
    retry_after_s: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        exclude_if=is_none,
        json_schema_extra=absent_not_null,
        description="How many seconds to wait before asking again; only in too_many_requests.",
        examples=[1.5],
    )

    @classmethod
    def make(
        cls,
        code: ProblemCode,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        retry_after_s: float | None = None,
    ) -> Self:
        """Build a problem of a code; what its kind says comes from `PROBLEMS`."""
        kind = PROBLEMS[code]
        return cls(
            type=f"urn:streams:problem:{code.replace('_', '-')}",
            title=kind.title,
            status=kind.status,
            detail=detail,
            code=code,
            retryable=kind.retryable,
            errors=errors,
            retry_after_s=retry_after_s,
        )


_PROBLEM: Final = TypeAdapter(Problem)


def write_problem(problem: Problem) -> bytes:
    """Return the body of a problem."""
    return _PROBLEM.dump_json(problem)


def read_problem(body: bytes) -> Problem:
    """Read the body of a problem, of a code that came later too: its `code` is then a text that is no ProblemCode.

    Raises pydantic's ValidationError (a ValueError) where it is none.
    """
    return _PROBLEM.validate_json(body)
