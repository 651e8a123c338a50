"""aio_pika's connection, without what it does in the garbage collector."""

import aio_pika
from typing_extensions import override


class PlainConnection(aio_pika.Connection):
    """A connection that whoever opens it closes. aio_pika would start a task from within the garbage collector,
    for one that never came to be too: a warning at best, and at any moment.
    """

    @override
    def __del__(self) -> None:
        """Do nothing."""
