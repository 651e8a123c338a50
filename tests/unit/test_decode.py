"""Bytes to commands, and the order of checks in which they may fail."""

import hashlib
import json
import uuid
from typing import Any

import pytest

import schemas
from tests.support.deliveries import ASKER, decode, decoder, delivery, unreadable
from worker.domain.commands import ByCode, ByDevice, ById, CreateStream, GetStream, StopStream
from worker.service.messages import Identity, Incoming, MessageKey, Received, Refused, ReplyTo, Unreadable

STREAM_ID = "0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"
FORBIDDEN_ADDRESS = "streams.commands"
TOO_LARGE = b" " * 65_537
NOT_JSON_TYPE = "text/plain"


def code_of(incoming: Incoming) -> str | None:
    """What a message ends as: the problem's code, the dead letter's reason, or None for a command."""
    match incoming:
        case Refused(answer=answer):
            return answer.problem
        case Unreadable(reason=reason):
            return reason
        case Received():
            return None


def problem(body: bytes | dict[str, Any] = b'{"device_id": "cam-1"}', **properties: Any) -> schemas.Problem:
    refused = decode(body, **properties)
    assert isinstance(refused, Refused)
    assert refused.answer.type == "stream.problem"
    assert refused.answer.content_type == "application/problem+json"
    return schemas.read_problem(refused.answer.body)


@pytest.mark.parametrize(
    ("name", "body", "command"),
    [
        ("stream.create", {"device_id": "cam-1"}, CreateStream(device_id="cam-1")),
        ("stream.stop", {"device_id": "cam-1"}, StopStream(selector=ByDevice(device_id="cam-1"))),
        ("stream.stop", {"stream_id": STREAM_ID}, StopStream(selector=ById(stream_id=uuid.UUID(STREAM_ID)))),
        ("stream.stop", {"code": "7K3M9QXA"}, StopStream(selector=ByCode(code="7K3M9QXA"))),
        ("stream.get", {"device_id": "cam-1"}, GetStream(selector=ByDevice(device_id="cam-1"))),
        ("stream.get", {"stream_id": STREAM_ID}, GetStream(selector=ById(stream_id=uuid.UUID(STREAM_ID)))),
        ("stream.get", {"code": "7K3M9QXA"}, GetStream(selector=ByCode(code="7K3M9QXA"))),
    ],
)
def test_each_command_is_read_by_each_selector(name: str, body: dict[str, str], command: object) -> None:
    received = decode(body, message_type=name)

    assert isinstance(received, Received)
    assert received.command == command


def test_a_command_keeps_its_delivery_its_asker_and_its_identity() -> None:
    body = b'{"device_id": "cam-1"}'
    sent = delivery(body, message_id="m-1", user_id="alice", correlation_id="c-1")

    received = decoder()(sent)

    digest = hashlib.sha256(b"stream.create\x00" + body).digest()
    assert received == Received(
        delivery=sent,
        command=CreateStream(device_id="cam-1"),
        identity=Identity(key=MessageKey(sender="alice", message_id="m-1"), digest=digest),
        reply_to=ReplyTo(address=ASKER, correlation_id="c-1"),
    )


@pytest.mark.parametrize(
    "written", ["7K3M9QXA", "7k3m9qxa", "7k3m-9qxa", " 7K3M 9QXA ", "7-K-3-M-9-Q-X-A", "7k 3m-9q xa"]
)
def test_a_code_is_read_forgivingly(written: str) -> None:
    received = decode({"code": written}, message_type="stream.get")

    assert isinstance(received, Received)
    assert received.command == GetStream(selector=ByCode(code="7K3M9QXA"))


@pytest.mark.parametrize("written", ["oil10000", "OIL 1OOO0", "0-1-1-1-0000", "OiLlOooo"])
def test_letters_that_look_like_digits_are_read_as_digits(written: str) -> None:
    received = decode({"code": written}, message_type="stream.get")

    assert isinstance(received, Received)
    assert received.command == GetStream(selector=ByCode(code="01110000"))


@pytest.mark.parametrize(
    "written", ["", "7K3M9QX", "7K3M9QXAA", "7K3M9QXU", "7K3M9QX\u0661", "7K3M_9QXA", "\u017f" * 8]
)
def test_what_is_not_a_code_is_invalid(written: str) -> None:
    refused = problem({"code": written}, message_type="stream.get")

    assert (refused.code, [error.pointer for error in refused.errors]) == ("invalid", ["/code"])


def test_unknown_members_are_ignored() -> None:
    received = decode({"device_id": "cam-1", "colour": {"deep": [None, True, 1.5]}, "code": "7K3M9QXA"})

    assert isinstance(received, Received)
    assert received.command == CreateStream(device_id="cam-1")


@pytest.mark.parametrize("name", ["stream.stop", "stream.get"])
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"device": "cam-1"},
        {"device_id": "cam-1", "code": "7K3M9QXA"},
        {"device_id": "cam-1", "stream_id": STREAM_ID},
        {"device_id": "cam-1", "stream_id": STREAM_ID, "code": "7K3M9QXA"},
        {"device_id": "cam-1", "code": None},
        {"device_id": None, "stream_id": None, "code": "7K3M9QXA"},
    ],
)
def test_exactly_one_selector_is_asked_for(name: str, body: dict[str, Any]) -> None:
    refused = problem(body, message_type=name)

    assert (refused.code, refused.status, [error.pointer for error in refused.errors]) == ("invalid", 422, [""])


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/device_id"),
        ({"device_id": None}, "/device_id"),
        ({"device_id": 17}, "/device_id"),
        ({"device_id": ["cam-1"]}, "/device_id"),
        ({"device_id": ""}, "/device_id"),
        ({"device_id": "cam 1"}, "/device_id"),
        ({"device_id": "cam-1\n"}, "/device_id"),
        ({"device_id": "-cam"}, "/device_id"),
        ({"device_id": "câm"}, "/device_id"),
        ({"device_id": "c" * 129}, "/device_id"),
    ],
)
def test_a_wrong_member_is_named_by_its_pointer(body: dict[str, Any], pointer: str) -> None:
    refused = problem(body)

    assert (refused.code, refused.status, refused.retryable) == ("invalid", 422, False)
    assert [error.pointer for error in refused.errors] == [pointer]


@pytest.mark.parametrize(
    "stream_id", ["", "x", STREAM_ID + "\n", "{" + STREAM_ID + "}", STREAM_ID.replace("-", ""), 7]
)
def test_a_stream_id_has_one_written_form(stream_id: object) -> None:
    refused = problem({"stream_id": stream_id}, message_type="stream.get")

    assert [error.pointer for error in refused.errors] == ["/stream_id"]


def test_a_device_id_of_128_characters_is_read() -> None:
    assert isinstance(decode({"device_id": "c" * 128}), Received)


def test_a_problem_never_echoes_what_was_sent() -> None:
    secret = "s3cr3t"
    for name in ("stream.create", "stream.stop", "stream.get"):
        for body in (
            {"device_id": f" {secret}"},
            {"stream_id": secret},
            {"code": f"{secret}!"},
            {"device_id": {secret: secret}},
            {secret: secret},
        ):
            assert secret not in problem(body, message_type=name).model_dump_json()
    for raw in (secret.encode(), f'{{"{secret}": {secret}}}'.encode(), f'"{secret}"'.encode()):
        assert secret not in problem(raw).model_dump_json()
    assert secret not in problem(message_type=secret).model_dump_json()
    assert secret not in problem(content_type=secret).model_dump_json()
    assert secret not in problem(message_id=secret * 30).model_dump_json()


@pytest.mark.parametrize("name", [None, "", "stream.delete", "stream.create ", "STREAM.CREATE", "stream.reply"])
def test_a_type_that_is_not_ours_is_an_unknown_command(name: str | None) -> None:
    refused = problem(message_type=name)

    assert (refused.code, refused.status) == ("unknown_command", 400)


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_too_large() -> None:
    command = b'{"device_id": "cam-1"'
    largest = command + b" " * (65_536 - len(command) - 1) + b"}"

    assert isinstance(decode(largest), Received)
    refused = problem(largest + b" ")
    assert (refused.code, refused.status) == ("too_large", 413)


@pytest.mark.parametrize("message_id", ["m" * 128, "é" * 127, "with space\n"])
def test_a_message_id_of_128_characters_is_read(message_id: str) -> None:
    received = decode(message_id=message_id)

    assert isinstance(received, Received)
    assert received.identity is not None
    assert received.identity.key == MessageKey(sender="", message_id=message_id)


@pytest.mark.parametrize("message_id", ["m" * 129, "m\x00", "\x00"])
def test_a_message_id_that_is_too_long_or_has_a_nul_is_invalid(message_id: str) -> None:
    refused = problem(message_id=message_id)

    assert (refused.code, refused.status, refused.errors) == ("invalid", 422, ())


def test_a_sender_with_a_nul_is_invalid() -> None:
    assert problem(message_id="m-1", user_id="a\x00").code == "invalid"


@pytest.mark.parametrize("message_id", [None, ""])
def test_without_a_message_id_there_is_no_identity(message_id: str | None) -> None:
    received = decode(message_id=message_id)

    assert isinstance(received, Received)
    assert received.identity is None


def test_the_digest_tells_type_and_bytes_apart() -> None:
    def digest(body: bytes, name: str) -> bytes:
        received = decode(body, message_type=name, message_id="m-1")
        assert isinstance(received, Received)
        assert received.identity is not None
        return received.identity.digest

    plain = b'{"device_id": "cam-1"}'
    assert digest(plain, "stream.get") == digest(plain, "stream.get")
    assert digest(plain, "stream.get") != digest(plain, "stream.stop")
    assert digest(plain, "stream.get") != digest(plain + b" ", "stream.get")


@pytest.mark.parametrize(
    ("correlation_id", "message_id", "echoed"),
    [("c-1", "m-1", "c-1"), (None, "m-1", "m-1"), ("", "m-1", "m-1"), ("c-1", None, "c-1"), (None, None, None)],
)
def test_the_message_id_stands_in_for_a_missing_correlation_id(
    correlation_id: str | None, message_id: str | None, echoed: str | None
) -> None:
    received = decode(correlation_id=correlation_id, message_id=message_id)

    assert isinstance(received, Received)
    assert received.reply_to == ReplyTo(address=ASKER, correlation_id=echoed)


def test_a_refusal_knows_its_asker_and_its_key_too() -> None:
    refused = decode(b"x", message_id="m-1", user_id="alice")

    assert isinstance(refused, Refused)
    assert refused.reply_to == ReplyTo(address=ASKER, correlation_id="m-1")
    assert refused.key == MessageKey(sender="alice", message_id="m-1")


@pytest.mark.parametrize(
    ("code", "faults"),
    [
        ("malformed", {"body": b"x"}),
        ("unknown_command", {"message_type": "x"}),
        ("too_large", {"body": TOO_LARGE}),
        ("unsupported_media_type", {"content_type": NOT_JSON_TYPE}),
        ("invalid", {"body": b"{}"}),
        ("invalid", {"message_id": "m" * 129}),
    ],
)
@pytest.mark.parametrize("reply_to", [None, "", ASKER])
def test_a_refusal_that_nobody_asked_for_is_kept(code: str, faults: dict[str, Any], reply_to: str | None) -> None:
    refused = decode(**{"reply_to": reply_to} | faults)

    assert isinstance(refused, Refused)
    assert (refused.answer.problem, refused.keep) == (code, True)
    assert (refused.reply_to is None) == (not reply_to)
    assert refused.detail


# In the order in which they decide: of two faults the upper one is the answer.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("reply_to_not_allowed", {"reply_to": FORBIDDEN_ADDRESS}),
    ("too_large", {"body": TOO_LARGE}),
    ("unsupported_media_type", {"content_type": NOT_JSON_TYPE}),
    ("unknown_command", {"message_type": "stream.delete"}),
    ("malformed", {"body": b"["}),
    ("invalid", {"body": b'{"device_id": 1}'}),
    ("invalid", {"message_id": "m" * 129}),
]


@pytest.mark.parametrize("upper", range(len(FAULTS)))
@pytest.mark.parametrize("lower", range(len(FAULTS)))
def test_the_first_fault_that_applies_decides(upper: int, lower: int) -> None:
    upper, lower = sorted((upper, lower))

    assert code_of(decode(**FAULTS[lower][1] | FAULTS[upper][1])) == FAULTS[upper][0]


def test_undecodable_headers_come_before_everything() -> None:
    poison = unreadable("RecursionError")

    assert decoder()(poison) == Unreadable(delivery=poison, reason="undecodable", detail="RecursionError")


@pytest.mark.parametrize("key", ["reply_to", "message_type", "message_id", "content_type", "correlation_id"])
def test_a_good_command_is_read_whatever_else_stands_in_its_properties(key: str) -> None:
    extras: dict[str, Any] = {
        "headers": {"traceparent": "00-1-2-03"},
        "priority": 3,
        "expiration": "60000",
        "app_id": "cam",
    }

    assert isinstance(decode(**{key: None} | extras | {"message_type": "stream.create"}), Received)


def test_duplicate_members_are_read_as_the_last_one() -> None:
    received = decode(b'{"device_id": "cam-1", "device_id": "cam-2"}')

    assert isinstance(received, Received)
    assert received.command == CreateStream(device_id="cam-2")


def test_json_text_is_the_same_however_it_is_escaped() -> None:
    written = json.dumps({"device_id": "cam-1"}).replace("c", "\\u0063")

    received = decode(written.encode())

    assert isinstance(received, Received)
    assert received.command == CreateStream(device_id="cam-1")
