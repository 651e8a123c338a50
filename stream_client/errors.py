"""What can go wrong for a caller."""

from schemas import Problem


class StreamClientError(Exception):
    """The root of what this package raises."""


class StreamProblem(StreamClientError):
    """The command was refused; `problem` says why. Where it is `retryable`, asking again later can help."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail}")
        self.problem = problem


class StreamTimeout(StreamClientError):
    """No reply in time. Whether the command was carried out is unknown: ask again with the same `message_id`."""


class StreamUnavailable(StreamClientError):
    """The command was not handed over: the broker cannot be reached, or takes no more. Trying later can help."""


class StreamMisconfigured(StreamUnavailable):
    """The broker was reached but refuses what is asked. Trying again does not help, somebody has to change it."""


class StreamUnreadable(StreamClientError):
    """A reply came that this version cannot read. Whether the command was carried out is unknown."""
