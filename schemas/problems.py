"""The answer to a command that was refused: a problem as RFC 9457 has it, and members of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import ConfigDict, Field, TypeAdapter

from schemas.errors import FieldError
from schemas.fields import OrLater
from schemas.limits import BODY_BYTES_MAX
from schemas.names import ProblemCode
from schemas.wire import Wire, absent_not_null, is_none


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """What all problems of one code have in common. `retryable`: asking again later can help, and is harmless.

    `when` it is answered and what its `remedy` is are sentences for whoever reads the contract.
    """

    status: int
    title: str
    when: str
    remedy: str
    retryable: bool = False


PROBLEMS: Final[Mapping[ProblemCode, ProblemKind]] = {
    ProblemCode.MALFORMED: ProblemKind(
        status=400,
        title="Malformed body",
        when="the body is not a UTF-8 JSON object (refused too: NaN, infinite numbers, half a surrogate pair, "
        "NUL, and what is nested too deep)",
        remedy="correct the program that sends it",
    ),
    ProblemCode.UNKNOWN_COMMAND: ProblemKind(
        status=400,
        title="Unknown command",
        when="`type` is missing or not one of ours",
        remedy="correct the program that sends it",
    ),
    ProblemCode.FORBIDDEN: ProblemKind(
        status=403,
        title="Forbidden",
        when="the sender may not act for this device; where senders are told apart, also: there is none, or the "
        "message has a header `CC` or `BCC`",
        remedy="publish as the device, or as an operator",
    ),
    ProblemCode.NOT_FOUND: ProblemKind(
        status=404,
        title="Stream not found",
        when="no such stream (where senders are told apart, another's is none), or the device never had one",
        remedy="it is an answer: go on without the stream, or create one",
    ),
    ProblemCode.MESSAGE_ID_REUSED: ProblemKind(
        status=409,
        title="Message id reused",
        when="this sender used this `message_id` for another command (another type, or other bytes in the body); "
        "nothing was changed",
        remedy="use a UUID for each command, and repeat a command byte for byte",
    ),
    ProblemCode.EXPIRED: ProblemKind(
        status=410,
        title="Command expired",
        when="its `timestamp` is older than anything we still remember",
        remedy="look first (`stream.get`), then ask anew",
    ),
    ProblemCode.TOO_LARGE: ProblemKind(
        status=413,
        title="Body too large",
        when=f"the body is over {BODY_BYTES_MAX // 1024} KiB",
        remedy="correct the program that sends it",
    ),
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: ProblemKind(
        status=415,
        title="Unsupported media type",
        when="`content_type` is not JSON, or there is a `content_encoding`",
        remedy="correct the program that sends it",
    ),
    ProblemCode.INVALID: ProblemKind(
        status=422,
        title="Invalid command",
        when='the JSON does not fit the command; `errors` lists `{"pointer": "/device_id", "detail": "…"}`; '
        "or the `message_id` is too long, or has a NUL",
        remedy="correct the program that sends it",
    ),
    ProblemCode.TOO_MANY_REQUESTS: ProblemKind(
        status=429,
        title="Too many requests",
        when="the sender is over its rate",
        remedy="wait `retry_after_s`, then ask again with the same `message_id`",
        retryable=True,
    ),
    ProblemCode.INTERNAL: ProblemKind(
        status=500,
        title="Internal error",
        when="it failed again and again on its own; the command is kept for the operator",
        remedy="ask again later with the same `message_id`; if it stays so, tell the operator",
        retryable=True,
    ),
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
    code: OrLater[ProblemCode] = Field(
        description="The kind of problem, for programs. One that is not listed came later: go by `retryable` and "
        "`status`.",
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
