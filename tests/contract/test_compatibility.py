"""What was released goes on working; each rule of decision 20 is seen to refuse what it should, and no more."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from devtools.contract.compatibility import Rule, broken_rules
from devtools.project import ROOT
from schemas.version import VERSION
from tests.support.contract_document import committed_document

Document = Any
Change = Callable[[Document], object]

RELEASED = Path(__file__).with_name("released")
EXPLAINED = (ROOT / "docs/protocol.md").read_text("utf-8")


def test_what_was_released_goes_on_working() -> None:
    file = RELEASED / str(VERSION) / "asyncapi.yaml"
    if not file.is_file():  # a version that was never released binds nobody, but the one before it has to be there
        assert (RELEASED / str(VERSION - 1) / "asyncapi.yaml").is_file()
        return
    released = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))

    broken = broken_rules(released, committed_document(), explained=EXPLAINED)

    assert not broken, "\n".join(broken)


def model(document: Document, name: str) -> Document:
    return document["components"]["schemas"][name]


def member(document: Document, name: str, of: str) -> Document:
    return model(document, of)["properties"][name]


def header(document: Document, message: str, name: str) -> Document:
    return document["components"]["messages"][message]["headers"]["properties"][name]


def a_new_event(document: Document, name: str = "stream.paused") -> str:
    """Add one like the others, and return its schema's name."""
    schema = copy.deepcopy(model(document, "StreamStopped"))
    schema["properties"]["type"]["const"] = name
    message = copy.deepcopy(document["components"]["messages"]["stream.stopped"])
    message["headers"]["properties"]["type"]["const"] = name
    message["payload"]["$ref"] = "#/components/schemas/StreamPaused"
    document["components"]["schemas"]["StreamPaused"] = schema
    document["components"]["messages"][name] = message
    document["channels"]["events"]["messages"][name] = {"$ref": f"#/components/messages/{name}"}
    return "StreamPaused"


def retype(schema: Document, **changes: Any) -> None:
    """Say something else of a member than was said; None takes a word away."""
    for word, value in changes.items():
        schema.pop(word, None)
        if value is not None:
            schema[word] = value


def a_login(name: str) -> Document:
    """Refer to a way to log in."""
    return {"$ref": f"#/components/securitySchemes/{name}"}


REFUSED: dict[str, tuple[Rule, str, Change]] = {
    "a command needs a new member": (
        Rule.COMMAND_REQUIRED,
        "stream.create payload/colour: is required now",
        lambda d: (
            model(d, "CreateStream")["properties"].update(colour={"type": "string"}),
            model(d, "CreateStream")["required"].append("colour"),
        ),
    ),
    "a command needs a new member, said beside a reference": (
        Rule.COMMAND_REQUIRED,
        "stream.create payload/colour: is required now",
        lambda d: d["components"]["messages"]["stream.create"]["payload"].update(required=["colour"]),
    ),
    "a command needs a property that it could do without": (
        Rule.COMMAND_REQUIRED,
        "stream.stop headers/messageId: is required now",
        lambda d: d["components"]["messages"]["stream.stop"]["headers"]["required"].append("messageId"),
    ),
    "a command loses a member": (
        Rule.COMMAND_MEMBER,
        "stream.get payload/code: is gone",
        lambda d: model(d, "GetStream")["properties"].pop("code"),
    ),
    "a command loses a way to say it": (
        Rule.COMMAND_NARROWER,
        "stream.get payload: oneOf",
        lambda d: model(d, "GetStream")["oneOf"].pop(),
    ),
    "a command's member has another type": (
        Rule.COMMAND_NARROWER,
        "stream.create payload/device_id: not string",
        lambda d: retype(member(d, "device_id", "CreateStream"), type="integer"),
    ),
    "a command's pattern is another": (
        Rule.COMMAND_NARROWER,
        "stream.create payload/device_id: pattern ^[a-z]+$",
        lambda d: retype(member(d, "device_id", "CreateStream"), pattern="^[a-z]+$"),
    ),
    "a command's limit is lower": (
        Rule.COMMAND_NARROWER,
        "stream.stop headers/messageId: maxLength 64",
        lambda d: retype(header(d, "stream.stop", "messageId"), maxLength=64),
    ),
    "a command gets a limit": (
        Rule.COMMAND_NARROWER,
        "stream.stop payload/code: minLength 8",
        lambda d: retype(member(d, "code", "StopStream"), minLength=8),
    ),
    "a command gets a limit of another kind": (
        Rule.COMMAND_NARROWER,
        "stream.get headers/timestamp: exclusiveMinimum 0",
        lambda d: retype(header(d, "stream.get", "timestamp"), exclusiveMinimum=0),
    ),
    "a command gets a limit that the gate has never heard of": (
        Rule.COMMAND_NARROWER,
        "stream.get payload/code: not {'const': '00000000'}",
        lambda d: retype(member(d, "code", "GetStream"), **{"not": {"const": "00000000", "description": "Why."}}),
    ),
    "a command may have nothing that is not known": (
        Rule.COMMAND_NARROWER,
        "stream.create payload: additionalProperties False",
        lambda d: retype(model(d, "CreateStream"), additionalProperties=False),
    ),
    "a command's member refers to something else": (
        Rule.COMMAND_NARROWER,
        "stream.create payload/device_id: maxLength 8",
        lambda d: (
            d["components"]["schemas"].update(Short={**member(d, "device_id", "CreateStream"), "maxLength": 8}),
            model(d, "CreateStream")["properties"].update(device_id={"$ref": "#/components/schemas/Short"}),
        ),
    ),
    "a command's list of values is shorter": (
        Rule.COMMAND_NARROWER,
        "stream.get headers/deliveryMode: only 2",
        lambda d: header(d, "stream.get", "deliveryMode")["enum"].remove(1),
    ),
    "a command is called by another name": (
        Rule.COMMAND_NARROWER,
        "stream.get headers/type: only stream.read",
        lambda d: retype(header(d, "stream.get", "type"), const="stream.read"),
    ),
    "a command is gone": (
        Rule.MESSAGE,
        "stream.get: is gone",
        lambda d: d["components"]["messages"].pop("stream.get"),
    ),
    "a reply loses a member": (
        Rule.ANSWER_MEMBER,
        "stream.reply payload/outcome: is gone",
        lambda d: (
            model(d, "StreamReply")["properties"].pop("outcome"),
            model(d, "StreamReply")["required"].remove("outcome"),
        ),
    ),
    "a reply loses a member deep inside": (
        Rule.ANSWER_MEMBER,
        "stream.stopped payload/data/stream/version: is gone",
        lambda d: model(d, "Stream")["properties"].pop("version"),
    ),
    "a reply loses a member that was not always there": (
        Rule.ANSWER_MEMBER,
        "stream.problem payload/retry_after_s: is gone",
        lambda d: model(d, "Problem")["properties"].pop("retry_after_s"),
    ),
    "a reply's member may be missing": (
        Rule.ANSWER_MEMBER,
        "stream.problem payload/errors: was always there, and may be missing now",
        lambda d: model(d, "Problem")["required"].remove("errors"),
    ),
    "an event's member has another type": (
        Rule.ANSWER_WIDER,
        "stream.created payload/sequence: is wider than it was (not integer)",
        lambda d: retype(member(d, "sequence", "StreamCreated"), type="integer", pattern=None),
    ),
    "an event's member may be null": (
        Rule.ANSWER_WIDER,
        "stream.created payload/subject: is wider than it was (not null)",
        lambda d: retype(
            member(d, "subject", "StreamCreated"),
            type=None,
            format=None,
            anyOf=[{"type": "string", "format": "uuid"}, {"type": "null"}],
        ),
    ),
    "an event's member is of one kind or another": (
        Rule.ANSWER_WIDER,
        "stream.created payload/subject: is wider than it was (not array or boolean or integer",
        lambda d: retype(
            member(d, "subject", "StreamCreated"),
            type=None,
            anyOf=[{"type": "string", "format": "uuid"}, {"type": "integer"}],
        ),
    ),
    "a reply's limit is higher": (
        Rule.ANSWER_WIDER,
        "stream.reply payload/stream/code: is wider than it was (maxLength 8)",
        lambda d: retype(member(d, "code", "Stream"), maxLength=10),
    ),
    "a reply's form is given up": (
        Rule.ANSWER_WIDER,
        "stream.reply payload/stream/id: is wider than it was (format uuid)",
        lambda d: retype(member(d, "id", "Stream"), format=None),
    ),
    "a reply's items have another type": (
        Rule.ANSWER_WIDER,
        "stream.problem payload/errors/*/pointer: is wider than it was (not null)",
        lambda d: retype(member(d, "pointer", "FieldError"), type=["string", "null"]),
    ),
    "a reply's list of values is given up": (
        Rule.ANSWER_WIDER,
        "stream.reply payload/stream/status: is wider than it was (only active, stopped)",
        lambda d: retype(model(d, "StreamStatus"), enum=None),
    ),
    "an event is called by another name": (
        Rule.ANSWER_WIDER,
        "stream.created payload/type: is wider than it was (only stream.created)",
        lambda d: retype(member(d, "type", "StreamCreated"), const="stream.stopped"),
    ),
    "a problem's code is not explained": (
        Rule.ANSWER_VALUE,
        "stream.problem payload/code: can be teapot now",
        lambda d: model(d, "ProblemCode")["x-extensible-enum"].append("teapot"),
    ),
    "a reply has a value that is explained, and that nobody was told to be ready for": (
        Rule.ANSWER_WIDER,
        "stream.reply payload/stream/status: is wider than it was (only active, stopped)",
        lambda d: model(d, "StreamStatus")["enum"].append("found"),
    ),
    "a reply's list of values is opened": (
        Rule.ANSWER_WIDER,
        "stream.reply payload/stream/status: is wider than it was (only active, stopped)",
        lambda d: model(d, "StreamStatus").update({"x-extensible-enum": model(d, "StreamStatus").pop("enum")}),
    ),
    "an outcome is not explained": (
        Rule.ANSWER_VALUE,
        "stream.reply payload/outcome: can be paused now",
        lambda d: model(d, "Outcome")["x-extensible-enum"].append("paused"),
    ),
    "an open list is given up": (
        Rule.ANSWER_WIDER,
        "stream.problem payload/code: is wider than it was (no list of expired",
        lambda d: model(d, "ProblemCode").pop("x-extensible-enum"),
    ),
    "a letter has a reason that is not explained": (
        Rule.ANSWER_VALUE,
        "dead.letter headers/x-streams-reason: can be bored now",
        lambda d: header(d, "dead.letter", "x-streams-reason")["x-extensible-enum"].append("bored"),
    ),
    "an event names another schema": (
        Rule.ANSWER_WIDER,
        "stream.created payload/dataschema: is wider than it was (only urn:streams:schema:stream:1)",
        lambda d: retype(member(d, "dataschema", "StreamCreated"), const="urn:streams:schema:stream:2"),
    ),
    "anything may be an item of a reply": (
        Rule.ANSWER_WIDER,
        "stream.problem payload/errors: is wider than it was (only some items)",
        lambda d: retype(member(d, "errors", "Problem"), items=None),
    ),
    "an event of a new type does not count": (
        Rule.ANSWER_MEMBER,
        "stream.paused payload/sequence: is gone",
        lambda d: model(d, a_new_event(d))["properties"].pop("sequence"),
    ),
    "an event of a new type has two words": (
        Rule.EVENT_NAME,
        "stream.code.changed: is a new type of event",
        lambda d: a_new_event(d, "stream.code.changed"),
    ),
    "an event of a new type begins with another word": (
        Rule.EVENT_NAME,
        "device.moved: is a new type of event",
        lambda d: a_new_event(d, "device.moved"),
    ),
    "an event of a new type says that it is of another": (
        Rule.ANSWER_WIDER,
        "stream.paused payload/type: is wider than it was (only stream.paused)",
        lambda d: member(d, "type", a_new_event(d)).update(const="device.moved"),
    ),
    "an event of a new type is referred to by another name": (
        Rule.EVENT_NAME,
        "device.moved: is a new type of event",
        lambda d: (
            a_new_event(d, "device.moved"),
            d["channels"]["events"]["messages"].update(
                moved=d["channels"]["events"]["messages"].pop("device.moved")
            ),
        ),
    ),
    "a property of an event is gone": (
        Rule.ANSWER_MEMBER,
        "stream.created headers/messageId: is gone",
        lambda d: d["components"]["messages"]["stream.created"]["headers"]["properties"].pop("messageId"),
    ),
    "an event is gone": (
        Rule.MESSAGE,
        "stream.stopped: is gone",
        lambda d: d["components"]["messages"].pop("stream.stopped"),
    ),
    "a reply is written in another format": (
        Rule.MESSAGE,
        "stream.reply: was application/json and is application/cbor",
        lambda d: d["components"]["messages"]["stream.reply"].update(contentType="application/cbor"),
    ),
    "events go to another exchange": (
        Rule.ADDRESS,
        "channels events: exchange/name was streams.events, is streams.facts",
        lambda d: d["channels"]["events"]["bindings"]["amqp"]["exchange"].update(name="streams.facts"),
    ),
    "events have other routing keys": (
        Rule.ADDRESS,
        "channels events: address was {eventType}.{deviceId}, is {deviceId}.{eventType}",
        lambda d: d["channels"]["events"].update(address="{deviceId}.{eventType}"),
    ),
    "the way to the answer is another": (
        Rule.ADDRESS,
        "operations getStream: reply was $message.header#/replyTo, is $message.header#/answerTo",
        lambda d: d["operations"]["getStream"]["reply"]["address"].update(location="$message.header#/answerTo"),
    ),
    "a queue has another argument": (
        Rule.ADDRESS,
        "channels commandQueue: x-amqp-arguments/x-overflow was reject-publish, is drop-head",
        lambda d: d["channels"]["commandQueue"]["bindings"]["amqp"]["x-amqp-arguments"].update(
            {"x-overflow": "drop-head"}
        ),
    ),
    "a queue has one more argument": (
        Rule.ADDRESS,
        "channels deadLetterQueue: x-amqp-arguments/x-max-length is 1, and was nothing",
        lambda d: d["channels"]["deadLetterQueue"]["bindings"]["amqp"]["x-amqp-arguments"].update(
            {"x-max-length": 1}
        ),
    ),
    "a queue is bound by another key": (
        Rule.ADDRESS,
        "channels eventLog: x-amqp-binding/routingKey was #, is stream.created.#",
        lambda d: d["channels"]["eventLog"]["bindings"]["amqp"]["x-amqp-binding"].update(
            routingKey="stream.created.#"
        ),
    ),
    "a channel loses a message": (
        Rule.ADDRESS,
        "channels events: has no stream.stopped any more",
        lambda d: d["channels"]["events"]["messages"].pop("stream.stopped"),
    ),
    "a command goes elsewhere": (
        Rule.ADDRESS,
        "operations createStream: channel was #/channels/commands, is #/channels/commandQueue",
        lambda d: d["operations"]["createStream"]["channel"].update({"$ref": "#/channels/commandQueue"}),
    ),
    "an operation takes a command no more": (
        Rule.ADDRESS,
        "operations getStream: has no stream.get any more",
        lambda d: d["operations"]["getStream"]["messages"].clear(),
    ),
    "there is a third kind of reply": (
        Rule.ADDRESS,
        "operations getStream: reply's messages was",
        lambda d: d["operations"]["getStream"]["reply"]["messages"].append(
            {"$ref": "#/channels/events/messages/stream.created"}
        ),
    ),
    "a reply is found again elsewhere": (
        Rule.ADDRESS,
        "messages stream.reply: correlationId was $message.header#/correlationId, is $message.header#/requestId",
        lambda d: d["components"]["messages"]["stream.reply"]["correlationId"].update(
            location="$message.header#/requestId"
        ),
    ),
    "an exchange is of another kind": (
        Rule.ADDRESS,
        "channels events: exchange/type was topic, is direct",
        lambda d: d["channels"]["events"]["bindings"]["amqp"]["exchange"].update(type="direct"),
    ),
    "an exchange does not survive the broker": (
        Rule.ADDRESS,
        "channels commands: exchange/durable was True, is False",
        lambda d: d["channels"]["commands"]["bindings"]["amqp"]["exchange"].update(durable=False),
    ),
    "a queue has another name": (
        Rule.ADDRESS,
        "channels eventLog: queue/name was streams.events.log, is streams.history",
        lambda d: d["channels"]["eventLog"]["bindings"]["amqp"]["queue"].update(name="streams.history"),
    ),
    "events are not persistent any more": (
        Rule.ADDRESS,
        "operations streamCreated: deliveryMode was 2, is 1",
        lambda d: d["operations"]["streamCreated"]["bindings"]["amqp"].update(deliveryMode=1),
    ),
    "events expire": (
        Rule.ADDRESS,
        "operations streamStopped: expiration is 60000, and was nothing",
        lambda d: d["operations"]["streamStopped"]["bindings"]["amqp"].update(expiration=60_000),
    ),
    "an event is packed": (
        Rule.ADDRESS,
        "messages stream.created: contentEncoding is gzip, and was nothing",
        lambda d: d["components"]["messages"]["stream.created"]["bindings"]["amqp"].update(contentEncoding="gzip"),
    ),
    "a channel is on some servers only": (
        Rule.ADDRESS,
        "channels events: servers is frozenset({'encrypted'}), and was nothing",
        lambda d: d["channels"]["events"].update(servers=[{"$ref": "#/servers/encrypted"}]),
    ),
    "an operation asks for a login of its own": (
        Rule.ADDRESS,
        "operations getStream: security is frozenset({'certificate'}), and was nothing",
        lambda d: d["operations"]["getStream"].update(security=[a_login("certificate")]),
    ),
    "nobody connects without TLS any more": (
        Rule.ACCESS,
        "servers plain: is gone",
        lambda d: d["servers"].pop("plain"),
    ),
    "a server has another port": (
        Rule.ACCESS,
        "servers encrypted: address was amqps://127.0.0.1:5671/%2F, is amqps://127.0.0.1:5672/%2F",
        lambda d: d["servers"]["encrypted"].update(host="{host}:5672"),
    ),
    "a server has another virtual host where nobody has chosen one": (
        Rule.ACCESS,
        "servers plain: address was amqp://127.0.0.1:5672/%2F, is amqp://127.0.0.1:5672/streams",
        lambda d: d["servers"]["plain"]["variables"]["vhost"].update(default="streams"),
    ),
    "a server speaks another protocol": (
        Rule.ACCESS,
        "servers plain: protocolVersion was 0.9.1, is 1.0",
        lambda d: d["servers"]["plain"].update(protocolVersion="1.0"),
    ),
    "a password does not do any more": (
        Rule.ACCESS,
        "servers encrypted: has no userPassword any more",
        lambda d: d["servers"]["encrypted"]["security"].remove(a_login("userPassword")),
    ),
    "a way to log in is another": (
        Rule.ACCESS,
        "securitySchemes userPassword: type was userPassword, is scramSha256",
        lambda d: d["components"]["securitySchemes"]["userPassword"].update(type="scramSha256"),
    ),
    "a way to log in is gone": (
        Rule.ACCESS,
        "securitySchemes certificate: is gone",
        lambda d: d["components"]["securitySchemes"].pop("certificate"),
    ),
    "nobody receives a command any more": (
        Rule.ADDRESS,
        "operations getStream: is gone",
        lambda d: d["operations"].pop("getStream"),
    ),
}

ALLOWED: dict[str, Change] = {
    "nothing": lambda _: None,
    "a command may have a new member": lambda d: model(d, "CreateStream")["properties"].update(
        colour={"type": "string"}
    ),
    "a command needs less": lambda d: model(d, "CreateStream")["required"].remove("device_id"),
    "a command may say more": lambda d: retype(
        member(d, "device_id", "CreateStream"), type=["string", "integer"], pattern=None, maxLength=256
    ),
    "a command has one more way to say it": lambda d: model(d, "GetStream")["oneOf"].append({"required": ["tag"]}),
    "a command's list of values is longer": lambda d: header(d, "stream.get", "deliveryMode")["enum"].append(3),
    "a new command": lambda d: d["components"]["messages"].update(
        {"stream.list": d["components"]["messages"]["stream.get"]}
    ),
    "a new event": a_new_event,
    "a new channel": lambda d: d["channels"].update(later=d["channels"]["events"]),
    "a new limit on what a reply may be": lambda d: retype(member(d, "detail", "Problem"), exclusiveMinimum=0),
    "a reply has a new member": lambda d: (
        model(d, "Stream")["properties"].update(colour={"type": "string"}),
        model(d, "Stream")["required"].append("colour"),
    ),
    "what was sometimes there is always there": lambda d: model(d, "StreamCreated")["required"].append(
        "causationid"
    ),
    "a reply says less than it might": lambda d: retype(member(d, "version", "Stream"), minimum=1, maximum=2),
    "a reply's value is not sent any more": lambda d: model(d, "Outcome")["x-extensible-enum"].remove("reused"),
    "a problem's code is explained": lambda d: model(d, "ProblemCode")["x-extensible-enum"].append("undecodable"),
    "a letter has one more reason, which is explained": lambda d: header(d, "dead.letter", "x-streams-reason")[
        "x-extensible-enum"
    ].append("x-death"),
    "other words": lambda d: (
        d["info"].update(description="Other words."),
        retype(member(d, "device_id", "Stream"), description="Other words.", examples=["cam-2"]),
    ),
    "other names of the ways to say it": lambda d: model(d, "GetStream")["oneOf"][0].update(title="by its device"),
    "one more server": lambda d: d["servers"].update(inside=d["servers"]["plain"]),
    "one more way to log in": lambda d: d["servers"]["plain"]["security"].append(a_login("certificate")),
    "a port can be chosen": lambda d: (
        d["servers"]["plain"].update(host="{host}:{port}"),
        d["servers"]["plain"]["variables"].update(port={"default": "5672"}),
    ),
    "a server, and a way to log in, in other words": lambda d: (
        d["servers"]["plain"].update(description="Other words."),
        d["components"]["securitySchemes"]["userPassword"].update(description="Other words."),
    ),
}


def changed(change: Change) -> Document:
    present = copy.deepcopy(committed_document())
    change(present)
    return present


@pytest.mark.parametrize(("rule", "said", "change"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused_that(rule: Rule, said: str, change: Change) -> None:
    broken = broken_rules(committed_document(), changed(change), explained=EXPLAINED)

    assert [one for one in broken if one.startswith(said) and one.endswith(f" The rule: {rule}.")], broken
    assert {one.partition(" The rule: ")[2] for one in broken} <= {f"{rule}.", f"{Rule.COMMAND_NARROWER}."}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED)
def test_it_is_allowed_that(change: Change) -> None:
    assert broken_rules(committed_document(), changed(change), explained=EXPLAINED) == []


def test_what_cannot_be_compared_is_not_passed_over() -> None:
    released, present = (
        committed_document(),
        changed(lambda d: d["components"]["messages"]["stream.create"]["payload"].update(type="array")),
    )

    with pytest.raises(ValueError, match="type is object and array"):
        broken_rules(released, present, explained=EXPLAINED)


def test_every_rule_is_seen_to_refuse_something_and_says_how_to_go_on() -> None:
    assert {rule for rule, _, _ in REFUSED.values()} == set(Rule)
    assert all("or begin the next version" in rule for rule in Rule)
