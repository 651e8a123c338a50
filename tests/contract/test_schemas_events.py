import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event
from pydantic import ValidationError

from schemas import (
    Event,
    EventName,
    LaterEvent,
    MediaType,
    Stream,
    StreamCreated,
    StreamData,
    StreamStatus,
    StreamStopped,
    UnreadableEvent,
    read_event,
    write_event,
)

STREAM = Stream(
    id=UUID("0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"),
    device_id="cam-1",
    code="7K3M9QXA",
    status=StreamStatus.ACTIVE,
    created_at=datetime(2026, 1, 12, 9, 30, tzinfo=UTC),
    stopped_at=None,
    version=1,
)
EVENT_ID = UUID("3f0c1d52-6c2b-5d0e-8a55-0f6b0d1e9c77")
AT = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)


def created(causationid: str | None = None, sequence: str = "1") -> StreamCreated:
    return StreamCreated(
        id=EVENT_ID,
        subject=STREAM.id,
        time=AT,
        sequence=sequence,
        causationid=causationid,
        data=StreamData(stream=STREAM),
    )


def stopped() -> StreamStopped:
    stream = STREAM.model_copy(update={"status": StreamStatus.STOPPED, "stopped_at": AT, "version": 2})
    return StreamStopped(id=EVENT_ID, subject=STREAM.id, time=AT, sequence="2", data=StreamData(stream=stream))


def with_member(name: str, value: object) -> bytes:
    return json.dumps(json.loads(write_event(created())) | {name: value}).encode()


def test_an_event_is_these_bytes() -> None:
    assert write_event(created(causationid="m-1")) == (
        b'{"specversion":"1.0","id":"3f0c1d52-6c2b-5d0e-8a55-0f6b0d1e9c77","source":"/streams",'
        b'"type":"stream.created","subject":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34",'
        b'"time":"2026-01-12T09:30:00.123456Z","datacontenttype":"application/json",'
        b'"dataschema":"urn:streams:schema:stream:1","sequence":"1","causationid":"m-1",'
        b'"data":{"stream":{"id":"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34","device_id":"cam-1",'
        b'"code":"7K3M9QXA","status":"active","created_at":"2026-01-12T09:30:00.000000Z","stopped_at":null,'
        b'"version":1}}}'
    )


def test_a_cause_that_had_no_id_is_left_out() -> None:
    assert b"causationid" not in write_event(created())


@pytest.mark.parametrize("event", [created(), created("m-1"), stopped()])
def test_an_event_is_read_back(event: Event) -> None:
    assert read_event(write_event(event)) == event
    assert event.number == int(event.sequence)
    assert event.stream == event.data.stream


@pytest.mark.parametrize("event", [created("m-1"), stopped()])
def test_the_cloudevents_sdk_reads_what_we_write(event: Event) -> None:
    message = RabbitMQMessage(headers={}, content_type=MediaType.EVENT, body=write_event(event))

    read = from_rabbitmq_event(message)

    assert read.get_specversion() == "1.0"
    assert read.get_id() == str(event.id)
    assert read.get_type() == event.type
    assert read.get_source() == "/streams"
    assert read.get_subject() == str(event.subject)
    assert read.get_time() == AT
    assert read.get_datacontenttype() == "application/json"
    assert read.get_dataschema() == "urn:streams:schema:stream:1"
    assert read.get_extension("sequence") == event.sequence
    assert read.get_data() == json.loads(write_event(event))["data"]


def test_a_reader_ignores_members_that_came_later() -> None:
    assert (
        read_event(with_member("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        == created()
    )


def test_an_event_of_a_later_type_is_read_as_such() -> None:
    event = read_event(with_member("type", "stream.renamed"))

    assert isinstance(event, LaterEvent)
    assert (event.type, event.id, event.number, event.stream) == ("stream.renamed", EVENT_ID, 1, STREAM)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "the body"),
        (b"\xff", "the body"),
        (b"[]", "the body"),
        (b"{}", "the body"),
        (with_member("specversion", "2.0"), "specversion"),
        (with_member("sequence", "0"), "sequence"),
        (with_member("sequence", 1), "sequence"),
        (with_member("sequence", "1" * 20), "sequence"),
        (with_member("time", "yesterday"), "time"),
        (with_member("time", "0001-01-01T00:00:00+00:01"), "time"),
        (with_member("time", "9999-12-31T23:59:59-00:01"), "time"),
        (with_member("data", {}), "data.stream"),
        (with_member("type", 7), "type"),
        (json.dumps(json.loads(with_member("type", "stream.renamed")) | {"sequence": "0"}).encode(), "sequence"),
    ],
)
def test_an_event_that_is_broken_says_where_and_quotes_nothing(body: bytes, where: str) -> None:
    with pytest.raises(UnreadableEvent, match=f"what does not fit: .*{where}") as raised:
        read_event(body)

    assert "yesterday" not in str(raised.value)


def test_an_event_counts_from_one() -> None:
    with pytest.raises(ValidationError):
        created(sequence="0")


@pytest.mark.parametrize("model", [StreamCreated, StreamStopped])
def test_every_example_of_an_event_fits_it(model: type[Event]) -> None:
    examples: list[dict[str, Any]] = model.model_json_schema()["examples"]

    assert examples
    for example in examples:
        event = read_event(json.dumps(example).encode())
        assert isinstance(event, model)
        assert json.loads(write_event(event)) == example


def test_every_event_name_has_a_model() -> None:
    assert {model.model_fields["type"].default for model in (StreamCreated, StreamStopped)} == set(EventName)
