"""The answer to a command that was carried out."""

from typing import Final

from pydantic import ConfigDict, Field, TypeAdapter

from schemas.fields import OrLater
from schemas.names import Outcome
from schemas.stream import STREAM_EXAMPLE, Stream
from schemas.wire import Wire


class StreamReply(Wire):
    """What the command did, and the stream as it was then."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"outcome": "created", "stream": STREAM_EXAMPLE}]})

    outcome: OrLater[Outcome] = Field(description="What the command did.", examples=["created"])
    stream: Stream = Field(description="The stream, as the command left it.")


_REPLY: Final = TypeAdapter(StreamReply)


def write_reply(reply: StreamReply) -> bytes:
    """Return the body of a reply."""
    return _REPLY.dump_json(reply)


def read_reply(body: bytes) -> StreamReply:
    """Read the body of a reply, with an outcome that came later too: it is then a text that is no Outcome.

    Raises pydantic's ValidationError (a ValueError) where it is none.
    """
    return _REPLY.validate_json(body)
