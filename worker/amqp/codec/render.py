"""Outcomes and facts to their final bytes. Pure.

Replies and events are written member by member, without the models of `schemas/` that define them: building and
reading those took most of the time that a command takes to be decided. A test compares the bytes.
"""

from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

from pydantic_core import to_json
from typing_extensions import override
from uuid_utils import UUID, uuid5

import schemas
from schemas import MediaType, Problem, ProblemCode, ReplyName
from schemas.fields import write_time
from worker.domain.commands import ByCode, ByDevice, ById, Selector
from worker.domain.events import StreamEvent
from worker.domain.outcomes import Done, Outcome
from worker.domain.refusals import MessageIdReused, NotFound
from worker.domain.stream import Stream
from worker.service.messages import Answer, MessageKey, StoredEvent
from worker.service.ports import Renderer

_REPLY_IDS: Final = UUID("5f2c1c1e-8a7b-5e0d-9c43-1f6a0d1f7a02")

# An event's members in their order, with what is the same in all of them. What is not set cannot be written.
_ENVELOPE: Final = {name: field.default for name, field in schemas.StreamCreated.model_fields.items()}
_TIMES_KEPT_MAX: Final = 1024  # what happens in a batch happens at one time


class WireRenderer(Renderer):
    """Renders as the published schemas do."""

    @override
    def answer(self, outcome: Outcome) -> Answer:
        match outcome:
            case Done():
                reply = {"outcome": outcome.result.value, "stream": _stream(outcome.stream)}
                return Answer(type=ReplyName.REPLY, content_type=MediaType.JSON, body=to_json(reply))
            case NotFound(selector=selector):
                return problem_answer(Problem.make(ProblemCode.NOT_FOUND, _not_found(selector)))
            case MessageIdReused(message_id=message_id):
                detail = (
                    f"The message_id {message_id} was used for another command. Nothing was changed; "
                    "send this one with a message_id of its own."
                )
                return problem_answer(Problem.make(ProblemCode.MESSAGE_ID_REUSED, detail))

    @override
    def failure(self) -> Answer:
        detail = (
            "The command failed again and again on its own, and is kept for the operator. Asking again can help."
        )
        return problem_answer(Problem.make(ProblemCode.INTERNAL, detail))

    @override
    def event(self, event: StreamEvent, *, causation_id: str | None) -> StoredEvent:
        event_id = event.id
        envelope = {
            **_ENVELOPE,
            "id": str(event_id),
            "type": event.type.value,
            "subject": str(event.stream.id),
            "time": _time(event.at),
            "sequence": str(event.sequence),
            "causationid": causation_id,
            "data": {"stream": _stream(event.stream)},
        }
        if causation_id is None:
            del envelope["causationid"]
        return StoredEvent(
            id=event_id,
            device_id=event.stream.device_id,
            sequence=event.sequence,
            type=event.type.value,
            at=event.at,
            body=to_json(envelope),
        )

    @override
    def reply_id(self, key: MessageKey | None, answer: Answer) -> str:
        """A version 5 UUID (RFC 9562) of who asked what and the answer; without a key a random one."""
        if key is None:
            return str(uuid4())
        name = f"{key.sender}\x00{key.message_id}\x00{answer.type}\x00{answer.body.decode()}"
        return str(uuid5(_REPLY_IDS, name))


def problem_answer(problem: Problem) -> Answer:
    """Return a problem in its final form."""
    return Answer(
        type=ReplyName.PROBLEM,
        content_type=MediaType.PROBLEM,
        body=schemas.write_problem(problem),
        problem=str(problem.code),
    )


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "id": str(stream.id),
        "device_id": stream.device_id,
        "code": stream.code,
        "status": stream.status.value,  # a plain string: to_json takes long to see what an enum is
        "created_at": _time(stream.created_at),
        "stopped_at": _time(stream.stopped_at) if stream.stopped_at else None,
        "version": stream.version,
    }


_time: Final = lru_cache(_TIMES_KEPT_MAX)(write_time)


def _not_found(selector: Selector) -> str:
    match selector:
        case ByDevice(device_id=device_id):
            return f"The device {device_id} never had a stream."
        case ById(stream_id=stream_id):
            return f"No stream has the id {stream_id}."
        case ByCode(code=code):
            return f"No stream has the code {code}."
