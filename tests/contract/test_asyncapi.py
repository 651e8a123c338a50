"""The published contract is what the models say, and what the worker does."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic_core import from_json

from devtools.contract.bodies import BODIES
from devtools.contract.files import SCHEMAS, stale_files
from devtools.contract.letter import REASONS
from devtools.project import ROOT
from schemas import (
    COMMANDS,
    PROBLEMS,
    CommandName,
    EventName,
    Outcome,
    Problem,
    ProblemCode,
    ReplyName,
    StreamCreated,
    read_event,
    read_problem,
    read_reply,
)
from tests.support.contract_document import committed_document, headers_of, members, validator
from tests.support.deliveries import delivery
from tests.support.making import Tag
from worker.amqp.codec.render import WireRenderer, problem_answer
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.messages import WireFormat
from worker.amqp.topology import EventLog, topology
from worker.domain.events import EventType, StreamEvent
from worker.domain.outcomes import Done, Result
from worker.domain.stream import Stream
from worker.service.messages import Answer, DeadLetter, Outgoing, Reply, ReplyTo

NOW = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
WIRE = WireFormat(topology("streams"), DeadLetters(worker_name="host:1", clock=lambda: NOW))
MESSAGES: Mapping[str, Any] = committed_document()["components"]["messages"]
OPERATIONS: Mapping[str, Any] = committed_document()["operations"]
CHANNELS: Mapping[str, Any] = committed_document()["channels"]

READERS: Mapping[str, Callable[[bytes], object]] = {
    **{name: COMMANDS[name].validate_json for name in CommandName},
    **dict.fromkeys(EventName, read_event),
    ReplyName.REPLY: read_reply,
    ReplyName.PROBLEM: read_problem,
}
EXAMPLES = [
    pytest.param(name, example, id=f"{name}-{example['name']}")
    for name, message in MESSAGES.items()
    for example in message["examples"]
]
JSON_FILES = sorted((SCHEMAS / "json").glob("*.json"))


def test_what_is_committed_is_what_the_models_say() -> None:
    stale = [str(path.relative_to(ROOT)) for path in stale_files()]

    assert not stale, f"{', '.join(stale)}: not what the models say; run `make schemas` and commit what it writes"


def test_the_document_has_every_message_there_is() -> None:
    assert set(MESSAGES) == {*CommandName, *ReplyName, *EventName, "dead.letter"}


@pytest.mark.parametrize("name", CommandName)
def test_every_command_is_received_and_says_how_it_is_answered(name: CommandName) -> None:
    (operation,) = [one for one in OPERATIONS.values() if _names(one["messages"]) == [name]]

    assert operation["action"] == "receive"
    assert operation["reply"]["address"]["location"] == "$message.header#/replyTo"
    assert _names(operation["reply"]["messages"]) == list(ReplyName)
    assert CHANNELS["replies"]["address"] is None
    assert set(CHANNELS["replies"]["messages"]) == set(ReplyName)


@pytest.mark.parametrize("name", EventName)
def test_every_event_is_sent(name: EventName) -> None:
    (operation,) = [one for one in OPERATIONS.values() if _names(one["messages"]) == [name]]

    assert operation["action"] == "send"
    described = CHANNELS["events"]["parameters"]["eventType"]
    assert name in described["examples"]
    assert "enum" not in described, "more types may come, and nobody is to be told of a closed list"


def _names(references: list[dict[str, str]]) -> list[str]:
    return [reference["$ref"].rpartition("/")[2] for reference in references]


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_every_example_is_read_by_the_models_and_fits_what_is_published(name: str, example: Any) -> None:
    message = MESSAGES[name]
    validator(message["headers"]).validate(example["headers"])
    validator(message["payload"]).validate(example["payload"])
    if name in READERS:
        read = READERS[name](json.dumps(example["payload"]).encode())
        assert isinstance(read, BaseModel)
        assert json.loads(read.model_dump_json(exclude_defaults=name in set(CommandName))) == example["payload"]


def test_every_command_of_the_examples_has_a_message_id_of_its_own() -> None:
    ids = [one["headers"]["messageId"] for name in CommandName for one in MESSAGES[name]["examples"]]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", EventName)
def test_an_events_properties_are_those_of_its_body(name: EventName) -> None:
    for example in MESSAGES[name]["examples"]:
        headers, body = example["headers"], example["payload"]
        assert (headers["messageId"], headers["type"]) == (body["id"], body["type"])
        assert headers["timestamp"] == int(datetime.fromisoformat(body["time"]).timestamp())


def test_every_outcome_and_every_problem_has_its_example() -> None:
    replies, problems = (MESSAGES[name]["examples"] for name in ReplyName)

    assert [one["payload"]["outcome"] for one in replies] == list(Outcome)
    assert [one["payload"]["code"] for one in problems] == list(ProblemCode)


@pytest.mark.parametrize("code", ProblemCode)
def test_the_catalogue_says_of_each_problem_what_it_is_and_what_to_do(code: ProblemCode) -> None:
    kind = PROBLEMS[code]
    (row,) = [
        line for line in MESSAGES[ReplyName.PROBLEM]["description"].splitlines() if line.startswith(f"| `{code}`")
    ]

    assert (
        row == f"| `{code}` | {kind.status} | {'yes' if kind.retryable else 'no'} | {kind.when} | {kind.remedy} |"
    )
    assert kind.when
    assert kind.remedy


def test_every_member_and_every_property_is_described() -> None:
    mute = [path for path, member in members(committed_document()["components"]) if not member.get("description")]

    assert mute == []


def test_whatever_stands_in_the_document_is_described() -> None:
    parts = committed_document() | committed_document()["components"]
    mute = [
        f"{kind} {name}"
        for kind in ("servers", "securitySchemes", "channels", "operations", "messages", "schemas")
        for name, part in parts[kind].items()
        if not part.get("description")
    ]

    assert mute == []


def test_every_body_has_its_media_type_but_that_of_a_letter_which_may_be_anything() -> None:
    default = committed_document().get("defaultContentType")

    assert [name for name, one in MESSAGES.items() if one.get("contentType", default) is None] == ["dead.letter"]


def test_every_server_says_how_one_logs_in_and_a_certificate_takes_tls() -> None:
    servers = committed_document()["servers"]
    ways = {server["protocol"]: _names(server["security"]) for server in servers.values()}

    assert ways == {"amqp": ["userPassword"], "amqps": ["userPassword", "certificate"]}
    assert set(committed_document()["components"]["securitySchemes"]) == set(ways["amqps"])


def test_the_brokers_objects_are_those_that_the_worker_declares() -> None:
    bindings = [channel["bindings"]["amqp"] for channel in CHANNELS.values() if "bindings" in channel]
    queues = {one["queue"]["name"]: one for one in bindings if one["is"] == "queue"}
    exchanges = {one["exchange"]["name"]: one["exchange"] for one in bindings if one["is"] == "routingKey"}

    assert set(exchanges) == {exchange.name for exchange in topology("streams").exchanges}
    for exchange in topology("streams").exchanges:
        assert exchanges[exchange.name] | {"type": exchange.kind, "durable": True} == exchanges[exchange.name]
    log = EventLog(bytes_max=1_000_000_000, retention_s=7 * 24 * 3600)
    declared = (topology("streams", 2), topology("streams", event_log=log))
    one_and_many = {queue.name: queue for objects in declared for queue in objects.queues}
    assert set(queues) == set(one_and_many) - {"streams.commands.2"}
    for name, said in queues.items():
        assert said["x-amqp-arguments"] == one_and_many[name].arguments
        assert said["x-amqp-binding"] == {
            "exchange": one_and_many[name].exchange,
            "routingKey": one_and_many[name].key,
        }


@pytest.mark.parametrize("file", JSON_FILES, ids=lambda file: file.stem)
def test_every_json_schema_is_one_and_is_called_as_its_file(file: Any) -> None:
    schema = json.loads(file.read_text("utf-8"))

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:streams:schema:{file.stem}:1"
    assert [path for path, member in members(schema) if not member.get("description")] == []


def test_there_is_a_json_schema_of_every_body() -> None:
    assert {file.stem for file in JSON_FILES} == {body.name for body in BODIES}


def test_the_schema_that_an_event_names_is_that_of_its_data() -> None:
    schema = json.loads((SCHEMAS / "json/stream.json").read_text("utf-8"))
    event = MESSAGES[EventName.CREATED]["examples"][0]["payload"]

    assert schema["$id"] == event["dataschema"] == StreamCreated.model_fields["dataschema"].default
    Draft202012Validator(schema).validate(event["data"])


# What the worker sends, each kind of message in each shape that it has.

STREAM = Stream.start(id=UUID(int=7), device_id="cam-1", code="7K3M9QXA", at=NOW)


def _event(kind: EventType, cause: str | None) -> Outgoing:
    event = StreamEvent(type=kind, stream=STREAM, sequence=3, at=NOW)
    return WireRenderer().event(event, causation_id=cause)


def _reply(answer: Answer, correlation_id: str | None = "1") -> Outgoing:
    message_id = WireRenderer().reply_id(None, answer)
    to = ReplyTo(address="amq.gen-x", correlation_id=correlation_id)
    return Reply(delivery=Tag(tag=1), to=to, message_id=message_id, answer=answer)


def _letter(**properties: Any) -> Outgoing:
    return DeadLetter(delivery=delivery(b"\xff", **properties), reason="malformed", detail="no JSON")


SENT = {
    "created": _event(EventType.CREATED, "m-1"),
    "stopped, by a command without an id": _event(EventType.STOPPED, None),
    **{f"reply {result}": _reply(WireRenderer().answer(Done(result=result, stream=STREAM))) for result in Result},
    "a reply to nobody's id": _reply(WireRenderer().failure(), None),
    **{f"problem {code}": _reply(problem_answer(Problem.make(code, "Why."))) for code in ProblemCode},
    "a letter": _letter(message_id="m-1", user_id="cam-1", expiration="60000"),
    "a letter of a message without an id": _letter(),
}


@pytest.mark.parametrize("outgoing", SENT.values(), ids=SENT)
def test_what_the_worker_sends_fits_what_is_published(outgoing: Outgoing) -> None:
    sent = WIRE.of(outgoing)
    name = sent.properties.message_type or ""
    message = MESSAGES["dead.letter" if isinstance(outgoing, DeadLetter) else name]

    validator(message["headers"]).validate(headers_of(sent.properties))
    if name in {*ReplyName, *EventName}:
        assert message["contentType"] == sent.properties.content_type
        validator(message["payload"]).validate(from_json(sent.body))
        Draft202012Validator(json.loads((SCHEMAS / f"json/{name}.json").read_text("utf-8"))).validate(
            from_json(sent.body)
        )


@pytest.mark.parametrize("outgoing", SENT.values(), ids=SENT)
def test_no_property_goes_out_that_is_not_published(outgoing: Outgoing) -> None:
    if isinstance(outgoing, DeadLetter):  # it has whatever its message had
        return
    sent = WIRE.of(outgoing)

    assert set(headers_of(sent.properties)) <= set(
        MESSAGES[sent.properties.message_type or ""]["headers"]["properties"]
    )


def test_a_problem_of_a_code_that_came_later_fits_what_is_published() -> None:
    problem = MESSAGES[ReplyName.PROBLEM]
    later = problem["examples"][0]["payload"] | {"code": "teapot", "type": "urn:streams:problem:teapot"}

    validator(problem["payload"]).validate(later)
    Draft202012Validator(json.loads((SCHEMAS / "json/stream.problem.json").read_text("utf-8"))).validate(later)
    assert read_problem(json.dumps(later).encode()).code == "teapot"


def test_an_outcome_that_came_later_fits_what_is_published_and_a_state_does_not() -> None:
    reply = MESSAGES[ReplyName.REPLY]
    written = reply["examples"][0]["payload"]

    validator(reply["payload"]).validate(written | {"outcome": "paused"})
    assert not validator(reply["payload"]).is_valid(written | {"stream": written["stream"] | {"status": "paused"}})


def test_every_reason_of_a_letter_is_published() -> None:
    assert set(REASONS) == {*ProblemCode, "undecodable", "reply_to_not_allowed"}
