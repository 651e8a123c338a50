"""Outcomes and facts to their final bytes. Pure."""

from typing import Final
from uuid import UUID, uuid4, uuid5

from typing_extensions import override

import schemas
from schemas import MediaType, Problem, ProblemCode, ReplyName
from schemas.events import StreamData
from worker.domain.commands import ByCode, ByDevice, ById, Selector
from worker.domain.events import EventType, StreamEvent
from worker.domain.outcomes import Done, Outcome
from worker.domain.refusals import MessageIdReused, NotFound
from worker.domain.stream import Stream
from worker.service.messages import Answer, MessageKey, StoredEvent
from worker.service.ports import Renderer

_REPLY_IDS: Final = UUID("5f2c1c1e-8a7b-5e0d-9c43-1f6a0d1f7a02")


class WireRenderer(Renderer):
    """Renders by the published schemas."""

    @override
    def answer(self, outcome: Outcome) -> Answer:
        match outcome:
            case Done():
                reply = schemas.StreamReply(outcome=outcome.result.value, stream=_stream(outcome.stream))
                return Answer(type=ReplyName.REPLY, content_type=MediaType.JSON, body=schemas.write_reply(reply))
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
        model = schemas.StreamCreated if event.type is EventType.CREATED else schemas.StreamStopped
        body = schemas.write_event(
            model(
                id=event.id,
                subject=event.stream.id,
                time=event.at,
                sequence=str(event.sequence),
                causationid=causation_id,
                data=StreamData(stream=_stream(event.stream)),
            )
        )
        return StoredEvent(
            id=event.id,
            device_id=event.stream.device_id,
            sequence=event.sequence,
            type=event.type.value,
            at=event.at,
            body=body,
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
        problem=problem.code.value,
    )


def _stream(stream: Stream) -> schemas.Stream:
    return schemas.Stream(
        id=stream.id,
        device_id=stream.device_id,
        code=stream.code,
        status=stream.status.value,
        created_at=stream.created_at,
        stopped_at=stream.stopped_at,
        version=stream.version,
    )


def _not_found(selector: Selector) -> str:
    match selector:
        case ByDevice(device_id=device_id):
            return f"The device {device_id} never had a stream."
        case ById(stream_id=stream_id):
            return f"No stream has the id {stream_id}."
        case ByCode(code=code):
            return f"No stream has the code {code}."
