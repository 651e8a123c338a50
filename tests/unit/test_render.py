"""What goes over the wire, byte for byte."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas import Problem, ProblemCode
from worker.amqp.codec.render import WireRenderer, problem_answer
from worker.domain.commands import ByCode, ByDevice, ById, Selector
from worker.domain.events import EventType, StreamEvent
from worker.domain.outcomes import Done, Result
from worker.domain.refusals import MessageIdReused, NotFound
from worker.domain.stream import Status, Stream
from worker.service.messages import Answer, MessageKey

RENDERER = WireRenderer()
BEGAN = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
ENDED = datetime(2026, 1, 12, 10, 30, tzinfo=UTC)
ACTIVE = Stream.start(
    id=UUID("0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"), device_id="cam-1", code="7K3M9QXA", at=BEGAN
)
STOPPED = ACTIVE.stop(ENDED)

ACTIVE_BYTES = (
    b'{"id":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34","device_id":"cam-1","code":"7K3M9QXA","status":"active",'
    b'"created_at":"2026-01-12T09:30:00.123456Z","stopped_at":null,"version":1}'
)
STOPPED_BYTES = (
    b'{"id":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34","device_id":"cam-1","code":"7K3M9QXA","status":"stopped",'
    b'"created_at":"2026-01-12T09:30:00.123456Z","stopped_at":"2026-01-12T10:30:00.000000Z","version":2}'
)


@pytest.mark.parametrize(
    ("result", "stream", "stream_bytes"),
    [
        (Result.CREATED, ACTIVE, ACTIVE_BYTES),
        (Result.REUSED, ACTIVE, ACTIVE_BYTES),
        (Result.STOPPED, STOPPED, STOPPED_BYTES),
        (Result.ALREADY_STOPPED, STOPPED, STOPPED_BYTES),
        (Result.FOUND, ACTIVE, ACTIVE_BYTES),
    ],
)
def test_a_success_is_a_stream_reply(result: Result, stream: Stream, stream_bytes: bytes) -> None:
    answer = RENDERER.answer(Done(result=result, stream=stream))

    assert answer == Answer(
        type="stream.reply",
        content_type="application/json",
        body=b'{"outcome":"' + result.value.encode() + b'","stream":' + stream_bytes + b"}",
    )


@pytest.mark.parametrize(
    ("selector", "detail"),
    [
        (ByDevice(device_id="cam-1"), b"The device cam-1 never had a stream."),
        (ById(stream_id=ACTIVE.id), b"No stream has the id 0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34."),
        (ByCode(code="7K3M9QXA"), b"No stream has the code 7K3M9QXA."),
    ],
)
def test_not_found_names_what_was_looked_for(selector: Selector, detail: bytes) -> None:
    answer = RENDERER.answer(NotFound(selector=selector))

    assert answer == Answer(
        type="stream.problem",
        content_type="application/problem+json",
        body=b'{"type":"urn:streams:problem:not-found","title":"Stream not found","status":404,"detail":"'
        + detail
        + b'","code":"not_found","retryable":false,"errors":[]}',
        problem="not_found",
    )


def test_a_reused_message_id_is_a_conflict() -> None:
    answer = RENDERER.answer(MessageIdReused(message_id="m-1"))

    assert answer.problem == "message_id_reused"
    assert answer.body == (
        b'{"type":"urn:streams:problem:message-id-reused","title":"Message id reused","status":409,'
        b'"detail":"The message_id m-1 was used for another command. Nothing was changed; send this one with a '
        b'message_id of its own.","code":"message_id_reused","retryable":false,"errors":[]}'
    )


def test_a_problem_that_can_be_retried_says_when() -> None:
    answer = problem_answer(Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Slower, please.", retry_after_s=1.5))

    assert answer.problem == "too_many_requests"
    assert answer.body == (
        b'{"type":"urn:streams:problem:too-many-requests","title":"Too many requests","status":429,'
        b'"detail":"Slower, please.","code":"too_many_requests","retryable":true,"errors":[],"retry_after_s":1.5}'
    )


def test_created_is_a_cloud_event() -> None:
    event = StreamEvent(type=EventType.CREATED, stream=ACTIVE, sequence=1, at=BEGAN)

    stored = RENDERER.event(event, causation_id="m-1")

    assert (stored.id, stored.device_id, stored.sequence) == (event.id, "cam-1", 1)
    assert (stored.type, stored.at) == ("stream.created", BEGAN)
    assert stored.body == (
        b'{"specversion":"1.0","id":"' + str(event.id).encode() + b'","source":"/streams","type":"stream.created",'
        b'"subject":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34","time":"2026-01-12T09:30:00.123456Z",'
        b'"datacontenttype":"application/json","dataschema":"urn:streams:schema:stream:1","sequence":"1",'
        b'"causationid":"m-1","data":{"stream":' + ACTIVE_BYTES + b"}}"
    )


def test_stopped_without_a_cause_has_no_causation_id() -> None:
    event = StreamEvent(type=EventType.STOPPED, stream=STOPPED, sequence=2, at=ENDED)

    stored = RENDERER.event(event, causation_id=None)

    assert stored.type == "stream.stopped"
    assert stored.body == (
        b'{"specversion":"1.0","id":"' + str(event.id).encode() + b'","source":"/streams","type":"stream.stopped",'
        b'"subject":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34","time":"2026-01-12T10:30:00.000000Z",'
        b'"datacontenttype":"application/json","dataschema":"urn:streams:schema:stream:1","sequence":"2",'
        b'"data":{"stream":' + STOPPED_BYTES + b"}}"
    )


def test_the_ids_of_facts_never_change() -> None:
    created = StreamEvent(type=EventType.CREATED, stream=ACTIVE, sequence=1, at=BEGAN)
    stopped = StreamEvent(type=EventType.STOPPED, stream=STOPPED, sequence=2, at=ENDED)

    assert str(created.id) == "0199b6e2-7d9c-8200-891f-d8ba00ec7449"
    assert str(stopped.id) == "0199b6e2-7d9c-89cd-8766-f65d8b83174d"


def test_a_reply_id_is_the_same_each_time_the_same_is_answered() -> None:
    answer = RENDERER.answer(Done(result=Result.CREATED, stream=ACTIVE))
    stored = Answer(type=str(answer.type), content_type=str(answer.content_type), body=bytes(answer.body))
    key = MessageKey(sender="alice", message_id="m-1")

    ids = [RENDERER.reply_id(key, said) for said in (answer, stored)]

    assert ids == ["ac240abe-7f87-5fb1-a1c4-9f3e9bcc14be"] * 2


def test_a_reply_id_differs_by_sender_by_message_and_by_answer() -> None:
    answer = RENDERER.answer(Done(result=Result.CREATED, stream=ACTIVE))
    other = RENDERER.answer(Done(result=Result.REUSED, stream=ACTIVE))
    keys = [MessageKey(sender=s, message_id=m) for s, m in [("", "m"), ("a", "m"), ("", "am"), ("am", "")]]

    ids = {RENDERER.reply_id(key, said) for key in keys for said in (answer, other)}

    assert len(ids) == 2 * len(keys)


def test_a_reply_without_a_key_has_an_id_of_its_own() -> None:
    answer = RENDERER.answer(Done(result=Result.CREATED, stream=ACTIVE))

    assert RENDERER.reply_id(None, answer) != RENDERER.reply_id(None, answer)


times = st.datetimes(timezones=st.just(UTC))
streams = st.builds(
    Stream,
    id=st.uuids(),
    device_id=st.from_regex(schemas.DEVICE_ID_PATTERN.replace("$", r"\Z")),
    code=st.from_regex(r"\A[0-9A-HJKMNP-TV-Z]{8}\Z"),
    status=st.sampled_from(Status),
    created_at=times,
    stopped_at=st.none() | times,
    version=st.integers(1, 2**31 - 1),
)
message_ids = st.text(min_size=1, max_size=schemas.MESSAGE_ID_CHARS_MAX)


def _model(stream: Stream) -> schemas.Stream:
    return schemas.Stream(
        id=stream.id,
        device_id=stream.device_id,
        code=stream.code,
        status=stream.status.value,
        created_at=stream.created_at,
        stopped_at=stream.stopped_at,
        version=stream.version,
    )


@given(st.sampled_from(Result), streams)
def test_a_reply_is_the_bytes_of_its_model(result: Result, stream: Stream) -> None:
    model = schemas.StreamReply(outcome=result.value, stream=_model(stream))

    assert RENDERER.answer(Done(result=result, stream=stream)).body == schemas.write_reply(model)


@given(st.sampled_from(EventType), streams, times, st.integers(1, 2**63 - 1), st.none() | message_ids)
def test_an_event_is_the_bytes_of_its_model(
    kind: EventType, stream: Stream, at: datetime, sequence: int, causation_id: str | None
) -> None:
    event = StreamEvent(type=kind, stream=stream, sequence=sequence, at=at)
    model = schemas.StreamCreated if kind is EventType.CREATED else schemas.StreamStopped
    said = model(
        id=event.id,
        subject=stream.id,
        time=at,
        sequence=str(sequence),
        causationid=causation_id,
        data=schemas.StreamData(stream=_model(stream)),
    )

    assert RENDERER.event(event, causation_id=causation_id).body == schemas.write_event(said)


@given(st.text(max_size=20), message_ids, streams)
def test_a_reply_id_is_the_uuid_that_the_standard_library_makes(
    sender: str, message_id: str, stream: Stream
) -> None:
    answer = RENDERER.answer(Done(result=Result.FOUND, stream=stream))
    name = f"{sender}\x00{message_id}\x00{answer.type}\x00{answer.body.decode()}"

    reply_id = RENDERER.reply_id(MessageKey(sender=sender, message_id=message_id), answer)

    assert reply_id == str(uuid5(UUID("5f2c1c1e-8a7b-5e0d-9c43-1f6a0d1f7a02"), name))
