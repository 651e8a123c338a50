"""Each message: its properties, its body and what it is, with examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devtools.contract import examples
from devtools.contract.catalogue import problem_catalogue
from devtools.contract.letter import LETTER_PROPERTIES
from devtools.contract.properties import Property, header_schema, of_command, of_event, of_reply
from schemas import (
    CommandName,
    CreateStream,
    EventName,
    GetStream,
    MediaType,
    Problem,
    ReplyName,
    StopStream,
    StreamCreated,
    StreamReply,
    StreamStopped,
)

LETTER: Final = "dead.letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of the contract. `schema` names its body's model; a dead letter has any body."""

    name: str
    title: str
    summary: str
    description: str
    content_type: str | None
    properties: Sequence[Property]
    schema: str | None
    examples: Sequence[Mapping[str, Any]]
    is_command: bool = False

    @property
    def document(self) -> dict[str, Any]:
        """What AsyncAPI's document says of it."""
        payload = {"$ref": f"#/components/schemas/{self.schema}"} if self.schema else _ANY_BODY
        return {
            "name": self.name,
            "title": self.title,
            "summary": self.summary,
            "description": self.description,
            **({"contentType": self.content_type} if self.content_type else {}),
            "headers": header_schema(self.properties),
            "payload": payload,
            **self._correlation,
            "bindings": {"amqp": self._binding},
            "examples": list(self.examples),
        }

    @property
    def _correlation(self) -> dict[str, Any]:
        if not any(one.name == "correlation_id" for one in self.properties):
            return {}
        text = "Chosen by the sender of the command, echoed in its reply. An AMQP basic property."
        return {"correlationId": {"description": text, "location": "$message.header#/correlationId"}}

    @property
    def _binding(self) -> dict[str, Any]:
        kind = {} if self.name == LETTER else {"messageType": self.name}
        return {**kind, "bindingVersion": "0.3.0"}


_ANY_BODY: Final = {
    "description": "The body as it came, byte for byte. It may be anything, and is not to be trusted."
}

_BODY: Final = "The body is a UTF-8 JSON object of at most 64 KiB; members that it does not know are ignored."
_ONE_STREAM: Final = (
    "Names the stream by exactly one of `device_id`, `stream_id` and `code`; leave the others out, for `null` "
    "beside it is refused. By device means its active stream, else its latest."
)


def _command(
    name: CommandName, model: type[CreateStream | StopStream | GetStream], title: str, text: str
) -> Message:
    return Message(
        name=name.value,
        title=title,
        summary=(model.__doc__ or "").strip(),
        description=f"{text}\n\n{_BODY}\n",
        content_type=MediaType.JSON.value,
        properties=of_command(name.value),
        schema=model.__name__,
        examples=examples.of_command(name),
        is_command=True,
    )


def _event(name: EventName, model: type[StreamCreated | StreamStopped], title: str) -> Message:
    return Message(
        name=name.value,
        title=title,
        summary=(model.__doc__ or "").strip(),
        description="A CloudEvent 1.0 in structured mode. Published at least once, always with the same `id` "
        "and the same bytes; it has the whole stream, so nobody has to ask for it. Ignore members that you do "
        "not know.\n",
        content_type=MediaType.EVENT.value,
        properties=of_event(name.value),
        schema=model.__name__,
        examples=examples.of_event(name),
    )


MESSAGES: Final[Sequence[Message]] = (
    _command(
        CommandName.CREATE,
        CreateStream,
        "Create a stream",
        "Answered with `created`, or with `reused` and the stream that was active already: a device has at most "
        "one active stream. `reused` makes no event.",
    ),
    _command(
        CommandName.STOP,
        StopStream,
        "Stop a stream",
        f"{_ONE_STREAM} Answered with `stopped`, or with `already_stopped`, which makes no event.",
    ),
    _command(
        CommandName.GET,
        GetStream,
        "Get a stream",
        f"{_ONE_STREAM} Answered with `found`. With a `message_id` a repeat gets the *first* answer again, "
        "`not_found` too: to see how things are now, ask with a new one.",
    ),
    Message(
        name=ReplyName.REPLY.value,
        title="The command was carried out",
        summary=(StreamReply.__doc__ or "").strip(),
        description="Sent when the change is durable. A repeated command gets the same body again, byte for "
        "byte, whatever happened to the stream since.\n",
        content_type=MediaType.JSON.value,
        properties=of_reply(ReplyName.REPLY.value, MediaType.JSON),
        schema=StreamReply.__name__,
        examples=examples.of_reply(),
    ),
    Message(
        name=ReplyName.PROBLEM.value,
        title="The command was refused",
        summary="Why a command was not carried out: a problem as RFC 9457 has it, with members of our own.",
        description=problem_catalogue(),
        content_type=MediaType.PROBLEM.value,
        properties=of_reply(ReplyName.PROBLEM.value, MediaType.PROBLEM),
        schema=Problem.__name__,
        examples=examples.of_problem(),
    ),
    _event(EventName.CREATED, StreamCreated, "A stream began"),
    _event(EventName.STOPPED, StreamStopped, "A stream ended"),
    Message(
        name=LETTER,
        title="A message that could not become a reply",
        summary="Kept for an operator, with the reason in its headers.",
        description="Body and properties are the message's own, as far as they can be read; but `user_id` and "
        "`expiration` become headers, and `CC`, `BCC` and headers that pretend to be the broker's or the "
        "worker's are dropped. An operator can send such a command once more (`stream-worker dead "
        "replay`). It is then answered at its `reply_to`, unless that is a direct one: who asked by that and "
        "heard nothing asks again.\n",
        content_type=None,
        properties=LETTER_PROPERTIES,
        schema=None,
        examples=examples.of_letter(),
    ),
)
