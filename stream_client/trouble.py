"""What went wrong with the tries of one request, and what the caller is told of it."""

from stream_client.errors import StreamClientError, StreamTimeout, StreamUnavailable


class Trouble:
    """How many `tries` there were, and the worst end of one: once a command may have been carried out, nothing
    later makes that untrue.
    """

    def __init__(self) -> None:
        self.tries = 0
        self.worst: StreamTimeout | StreamUnavailable = StreamUnavailable("there was no time to try")

    def note(self, error: StreamTimeout | StreamUnavailable) -> None:
        """One more try ended so."""
        if isinstance(error, StreamTimeout) or not isinstance(self.worst, StreamTimeout):
            self.worst = error

    def raise_doubt(self, last: StreamClientError) -> None:
        """Raise StreamTimeout where the last try ended so and one before it may have been carried out: what comes
        and goes, like a rate or a right, says nothing of that one.
        """
        if isinstance(self.worst, StreamTimeout):
            raise StreamTimeout(f"{self.worst}; the next try: {last}") from last
