"""Problems as exceptions: one class for each code, named by it."""

from collections.abc import Mapping
from typing import Final

from schemas import Problem, ProblemCode
from stream_client.errors import StreamClientError


class StreamProblem(StreamClientError):
    """The command was refused; `problem` says why. Each code that this version knows has a class of its own below
    this one; a code that came later is this one itself, and its text is in `problem.code`.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class StreamMalformed(StreamProblem):
    """The body is not a UTF-8 JSON object."""


class StreamUnknownCommand(StreamProblem):
    """The worker knows no such command: it is older than whoever asks."""


class StreamForbidden(StreamProblem):
    """The sender may not act for this device."""


class StreamNotFound(StreamProblem):
    """No such stream, or the device never had one."""


class StreamMessageIdReused(StreamProblem):
    """This sender used this `message_id` for another command. Nothing was changed."""


class StreamExpired(StreamProblem):
    """The command is older than anything the worker remembers: look first, then ask anew. Or the clock here is far
    behind: then `StreamsClient(timestamps=False)`.
    """


class StreamTooLarge(StreamProblem):
    """The body is over the limit."""


class StreamUnsupportedMediaType(StreamProblem):
    """The worker reads no bodies of this kind."""


class StreamInvalid(StreamProblem):
    """The body does not fit the command; `problem.errors` says where."""


class StreamTooManyRequests(StreamProblem):
    """The sender asks faster than it may, and there was no time to wait `problem.retry_after_s` seconds, or no try
    left.
    """


class StreamInternal(StreamProblem):
    """It failed again and again on its own, and is kept for an operator. There was no time, or no try, left."""


PROBLEM_CLASSES: Final[Mapping[str, type[StreamProblem]]] = {
    ProblemCode.MALFORMED: StreamMalformed,
    ProblemCode.UNKNOWN_COMMAND: StreamUnknownCommand,
    ProblemCode.FORBIDDEN: StreamForbidden,
    ProblemCode.NOT_FOUND: StreamNotFound,
    ProblemCode.MESSAGE_ID_REUSED: StreamMessageIdReused,
    ProblemCode.EXPIRED: StreamExpired,
    ProblemCode.TOO_LARGE: StreamTooLarge,
    ProblemCode.UNSUPPORTED_MEDIA_TYPE: StreamUnsupportedMediaType,
    ProblemCode.INVALID: StreamInvalid,
    ProblemCode.TOO_MANY_REQUESTS: StreamTooManyRequests,
    ProblemCode.INTERNAL: StreamInternal,
}


def refusal(problem: Problem) -> StreamProblem:
    """Return the exception that a problem is; one of a code that came later is a StreamProblem."""
    return PROBLEM_CLASSES.get(problem.code, StreamProblem)(problem)
