import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas import (
    PROBLEMS,
    FieldError,
    Outcome,
    Problem,
    ProblemCode,
    ProblemKind,
    Stream,
    StreamReply,
    StreamStatus,
    read_problem,
    read_reply,
    write_problem,
    write_reply,
)

ACTIVE = Stream(
    id=UUID("0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"),
    device_id="cam-1",
    code="7K3M9QXA",
    status=StreamStatus.ACTIVE,
    created_at=datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC),
    stopped_at=None,
    version=1,
)

STATUSES: Mapping[str, int] = {
    "malformed": 400,
    "unknown_command": 400,
    "forbidden": 403,
    "not_found": 404,
    "message_id_reused": 409,
    "expired": 410,
    "too_large": 413,
    "unsupported_media_type": 415,
    "invalid": 422,
    "too_many_requests": 429,
    "internal": 500,
}


def test_a_reply_is_these_bytes() -> None:
    reply = StreamReply(outcome=Outcome.CREATED, stream=ACTIVE)

    assert write_reply(reply) == (
        b'{"outcome":"created","stream":{"id":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34","device_id":"cam-1",'
        b'"code":"7K3M9QXA","status":"active","created_at":"2026-01-12T09:30:00.123456Z","stopped_at":null,'
        b'"version":1}}'
    )


def test_a_stopped_stream_says_when() -> None:
    stopped = ACTIVE.model_copy(
        update={
            "status": StreamStatus.STOPPED,
            "stopped_at": datetime(2026, 1, 12, 12, tzinfo=timezone(timedelta(hours=2))),
            "version": 2,
        }
    )

    written = json.loads(write_reply(StreamReply(outcome=Outcome.STOPPED, stream=stopped)))

    assert written["outcome"] == "stopped"
    assert written["stream"]["status"] == "stopped"
    assert written["stream"]["stopped_at"] == "2026-01-12T10:00:00.000000Z"


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_time_is_written_in_utc_with_six_digits_and_read_back(at: datetime) -> None:
    stream = Stream.model_validate(ACTIVE.model_dump() | {"created_at": at})
    reply = StreamReply(outcome=Outcome.FOUND, stream=stream)

    written = json.loads(write_reply(reply))["stream"]["created_at"]

    assert written == at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert read_reply(write_reply(reply)) == reply


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("created_at", datetime(2026, 1, 12)),  # noqa: DTZ001 - without a zone is what is wrong
        ("created_at", 1768210200),
        ("version", "1"),
        ("version", 0),
        ("code", "7k3m9qxa"),
        ("code", "IIIIIIII"),
        ("device_id", ""),
    ],
)
def test_a_stream_that_is_wrong_cannot_be_made(member: str, wrong: object) -> None:
    with pytest.raises(ValidationError):
        Stream.model_validate(ACTIVE.model_dump() | {member: wrong})


@pytest.mark.parametrize("outcome", Outcome)
def test_a_reply_is_read_back(outcome: Outcome) -> None:
    reply = StreamReply(outcome=outcome, stream=ACTIVE)

    assert read_reply(write_reply(reply)) == reply


def test_a_reader_ignores_members_that_came_later() -> None:
    written = json.loads(write_reply(StreamReply(outcome=Outcome.FOUND, stream=ACTIVE)))
    written["new"] = written["stream"]["new"] = 1

    assert read_reply(json.dumps(written).encode()).stream == ACTIVE


def test_a_reader_takes_words_that_came_later_for_what_they_are() -> None:
    written = json.loads(write_reply(StreamReply(outcome=Outcome.FOUND, stream=ACTIVE)))
    written["outcome"], written["stream"]["status"] = "resumed", "paused"

    read = read_reply(json.dumps(written).encode())

    assert (read.outcome, read.stream.status) == ("resumed", "paused")
    assert read.stream.code == ACTIVE.code


@pytest.mark.parametrize("word", [None, 7, ["created"]])
def test_what_is_no_word_at_all_is_refused(word: object) -> None:
    written = json.loads(write_reply(StreamReply(outcome=Outcome.FOUND, stream=ACTIVE)))

    for wrong in ({"outcome": word}, {"stream": written["stream"] | {"status": word}}):
        with pytest.raises(ValidationError):
            read_reply(json.dumps(written | wrong).encode())


def test_there_are_eleven_problems() -> None:
    assert {code.value: kind.status for code, kind in PROBLEMS.items()} == STATUSES
    assert {code for code, kind in PROBLEMS.items() if kind.retryable} == {"too_many_requests", "internal"}
    assert len({kind.title for kind in PROBLEMS.values()}) == len(PROBLEMS) == len(ProblemCode)


@pytest.mark.parametrize(("code", "kind"), PROBLEMS.items())
def test_a_problem_is_these_bytes(code: ProblemCode, kind: ProblemKind) -> None:
    retryable = "true" if code in {"too_many_requests", "internal"} else "false"
    expected = (
        f'{{"type":"urn:streams:problem:{code.replace("_", "-")}","title":"{kind.title}",'
        f'"status":{STATUSES[code]},"detail":"Why.","code":"{code}","retryable":{retryable},"errors":[]}}'
    )

    assert write_problem(Problem.make(code, "Why.")).decode() == expected


def test_the_problem_of_the_contract_is_these_bytes() -> None:
    problem = Problem.make(ProblemCode.NOT_FOUND, "No stream has the code 7K3M9QXA.")

    assert write_problem(problem) == (
        b'{"type":"urn:streams:problem:not-found","title":"Stream not found","status":404,'
        b'"detail":"No stream has the code 7K3M9QXA.","code":"not_found","retryable":false,"errors":[]}'
    )


def test_a_problem_says_where_the_body_is_wrong_and_when_to_ask_again() -> None:
    errors = (FieldError(pointer="/device_id", detail="Field required"),)
    invalid = Problem.make(ProblemCode.INVALID, "The body does not fit.", errors=errors)
    limited = Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Slow down.", retry_after_s=1.5)

    assert write_problem(invalid).endswith(b'"errors":[{"pointer":"/device_id","detail":"Field required"}]}')
    assert write_problem(limited).endswith(b'"errors":[],"retry_after_s":1.5}')
    assert read_problem(write_problem(invalid)) == invalid
    assert read_problem(write_problem(limited)) == limited


@pytest.mark.parametrize("retry_after_s", [-1.0, float("inf"), float("nan")])
def test_a_problem_cannot_tell_a_pause_that_is_none(retry_after_s: float) -> None:
    with pytest.raises(ValidationError):
        Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Slow down.", retry_after_s=retry_after_s)


@pytest.mark.parametrize("model", [Stream, StreamReply, Problem, FieldError])
def test_every_example_of_an_answer_fits_it(model: type[Stream | StreamReply | Problem | FieldError]) -> None:
    examples = model.model_json_schema()["examples"]

    assert examples
    for example in examples:
        read = model.model_validate_json(json.dumps(example))
        assert json.loads(read.model_dump_json()) == example
