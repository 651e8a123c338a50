"""What can go wrong for a caller, but for the problems, which stand in `problems`."""


class StreamClientError(Exception):
    """The root of what this package raises."""


class StreamUncertain(StreamClientError):
    """Whether the command was carried out is unknown. Ask again with the same `message_id`, which is here: it then
    takes effect once, whenever it did.
    """

    message_id: str | None = None


class StreamTimeout(StreamUncertain):
    """No reply in time."""


class StreamUnreadable(StreamUncertain):
    """A reply came that this version cannot read."""


class StreamUnavailable(StreamClientError):
    """The command was not handed over: the broker cannot be reached, or takes no more. Trying later can help."""


class StreamMisconfigured(StreamUnavailable):
    """The broker was reached but refuses what is asked. Trying again does not help, somebody has to change it."""
