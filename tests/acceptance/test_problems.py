"""Every problem that a message alone can earn, and which one when it earns several."""

import json
import uuid
from typing import Any

import pytest

from tests.support.wire import Device, Undertaker

GOOD = b'{"device_id": "cam-1"}'
LARGE = b'{"device_id": "cam-1", "pad": "%s"}' % (b"x" * 65_536)
DEEP = b'{"device_id":' + b"[" * 3_000 + b"]" * 3_000 + b"}"


async def problem(device: Device, body: bytes, **properties: Any) -> dict[str, Any]:
    """Return the problem that this message earns, having seen that a good command behind it is carried out."""
    reply = await device.ask(body, **({"type": "stream.create"} | properties))
    assert reply.type == "stream.problem"
    assert reply.content_type == "application/problem+json"
    assert reply.app_id == "stream-worker"
    fresh = f"after-{uuid.uuid4().hex[:10]}"
    assert (await device.command("create", device_id=fresh))["outcome"] == "created"
    parsed: dict[str, Any] = json.loads(reply.body)
    return parsed


def is_of_kind(body: dict[str, Any], code: str, status: int, title: str) -> None:
    assert list(body) == ["type", "title", "status", "detail", "code", "retryable", "errors"]
    assert body["type"] == f"urn:streams:problem:{code.replace('_', '-')}"
    assert (body["code"], body["status"], body["title"], body["retryable"]) == (code, status, title, False)
    assert body["detail"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="an empty body"),
        pytest.param(b"hello", id="no JSON"),
        pytest.param(b'{"device_id": "cam-1"', id="half a JSON"),
        pytest.param(b'["cam-1"]', id="an array"),
        pytest.param(b'"cam-1"', id="a string"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"device_id": NaN}', id="NaN"),
        pytest.param(b'{"device_id": "cam-1", "x": Infinity}', id="Infinity in a member we ignore"),
        pytest.param(rb'{"device_id": "cam\u0000"}', id="NUL"),
        pytest.param(rb'{"device_id": "cam-1", "x": "\u0000"}', id="NUL in a member we ignore"),
        pytest.param(rb'{"device_id": "\ud800"}', id="a lone surrogate"),
        pytest.param(b'{"device_id": "caf\xe9"}', id="Latin-1"),
        pytest.param('{"device_id": "cam-1"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(DEEP, id="3,000 levels deep"),
    ],
)
async def test_what_is_no_utf8_json_object_is_malformed(device: Device, body: bytes) -> None:
    is_of_kind(await problem(device, body), "malformed", 400, "Malformed body")


@pytest.mark.parametrize("name", [None, "", "stream.delete", "STREAM.CREATE", "stream.reply", "stream.create "])
async def test_a_type_that_is_missing_or_not_ours_is_an_unknown_command(device: Device, name: str | None) -> None:
    body = await problem(device, GOOD, type=name)

    is_of_kind(body, "unknown_command", 400, "Unknown command")
    assert "stream.create" in body["detail"]


@pytest.mark.parametrize("body", [LARGE, b" " * 131_072], ids=["64 KiB and a bit", "128 KiB"])
async def test_a_body_over_the_limit_is_too_large(device: Device, body: bytes) -> None:
    is_of_kind(await problem(device, body), "too_large", 413, "Body too large")


async def test_a_body_of_just_64_kib_is_read(device: Device, device_id: str) -> None:
    body = b'{"device_id": "%s", "pad": "' % device_id.encode()
    body += b"x" * (65_536 - len(body) - 2) + b'"}'

    reply = await device.ask(body, type="stream.create")

    assert json.loads(reply.body)["outcome"] == "created"


@pytest.mark.parametrize(
    "properties",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/json; charset=latin-1"},
        {"content_type": "application/problem+json"},
        {"content_type": "application/json", "content_encoding": "gzip"},
        {"content_encoding": "identity"},
    ],
)
async def test_what_does_not_say_json_is_an_unsupported_media_type(
    device: Device, properties: dict[str, str]
) -> None:
    body = await problem(device, GOOD, **properties)

    is_of_kind(body, "unsupported_media_type", 415, "Unsupported media type")


@pytest.mark.parametrize(
    "content_type",
    [None, "application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'],
)
async def test_json_may_be_said_in_several_ways(device: Device, device_id: str, content_type: str | None) -> None:
    body = json.dumps({"device_id": device_id}).encode()

    reply = await device.ask(body, type="stream.create", content_type=content_type)

    assert reply.type == "stream.reply"


@pytest.mark.parametrize(
    ("kind", "body", "pointers"),
    [
        ("create", {}, ["/device_id"]),
        ("create", {"device_id": 7}, ["/device_id"]),
        ("create", {"device_id": None}, ["/device_id"]),
        ("create", {"device_id": ""}, ["/device_id"]),
        ("create", {"device_id": "-cam"}, ["/device_id"]),
        ("create", {"device_id": "cam 1"}, ["/device_id"]),
        ("create", {"device_id": "c" * 129}, ["/device_id"]),
        ("create", {"device_id": "cam-1\n"}, ["/device_id"]),
        ("create", {"device_id": ["cam-1"]}, ["/device_id"]),
        ("stop", {}, [""]),
        ("stop", {"device_id": "cam-1", "code": "7K3M9QXA"}, [""]),
        ("stop", {"stream_id": "not-a-uuid"}, ["/stream_id"]),
        ("get", {"stream_id": 17}, ["/stream_id"]),
        ("get", {"code": "7K3M9QX"}, ["/code"]),
        ("get", {"code": "7K3M9QXU"}, ["/code"]),
        ("get", {"code": 12345678}, ["/code"]),
        ("get", {"code": None}, ["/code"]),
        ("get", {"device_id": "cam-1", "stream_id": None}, [""]),
    ],
)
async def test_a_body_that_does_not_fit_is_invalid_and_told_where(
    device: Device, kind: str, body: dict[str, object], pointers: list[str]
) -> None:
    answer = await problem(device, json.dumps(body).encode(), type=f"stream.{kind}")

    is_of_kind(answer, "invalid", 422, "Invalid command")
    assert [error["pointer"] for error in answer["errors"]] == pointers
    assert all(set(error) == {"pointer", "detail"} and error["detail"] for error in answer["errors"])


@pytest.mark.parametrize("message_id", ["m" * 129, "a\x00b"])
async def test_a_message_id_that_is_too_long_or_holds_a_nul_is_invalid(device: Device, message_id: str) -> None:
    is_of_kind(await problem(device, GOOD, message_id=message_id), "invalid", 422, "Invalid command")


async def test_a_message_id_of_just_128_characters_is_taken(device: Device, device_id: str) -> None:
    message_id = uuid.uuid4().hex * 4
    first = await device.command("create", device_id=device_id, message_id=message_id)

    assert await device.command("create", device_id=device_id, message_id=message_id) == first


async def test_a_problem_never_echoes_what_was_sent(device: Device) -> None:
    secret = "hunter2-hunter2"
    for body in ({"device_id": f" {secret}"}, {"device_id": {secret: secret}}, {"code": secret, secret: 1}):
        answer = await problem(device, json.dumps(body).encode(), type="stream.stop")

        assert secret not in json.dumps(answer)


@pytest.mark.parametrize(
    ("body", "properties", "code"),
    [
        (LARGE, {"content_type": "text/plain", "type": "nonsense"}, "too_large"),
        (b"{", {"content_type": "text/plain", "type": "nonsense"}, "unsupported_media_type"),
        (b"{", {"type": "nonsense"}, "unknown_command"),
        (b"{", {"message_id": "m" * 200}, "malformed"),
        (b'{"device_id": 1}', {"message_id": "m" * 200}, "invalid"),
    ],
)
async def test_the_first_check_that_applies_decides(
    device: Device, body: bytes, properties: dict[str, str], code: str
) -> None:
    assert (await problem(device, body, **properties))["code"] == code


@pytest.mark.parametrize(
    ("body", "properties", "reason"),
    [
        (b"no JSON %s", {}, "malformed"),
        (b'{"device_id": "cam-1", "n": "%s"}', {"type": "nonsense"}, "unknown_command"),
        (b"%s" + b"x" * 65_536, {}, "too_large"),
        (b'{"device_id": "cam-1", "n": "%s"}', {"content_type": "text/plain"}, "unsupported_media_type"),
        (b'{"n": "%s"}', {}, "invalid"),
    ],
)
async def test_without_reply_to_such_a_message_is_a_dead_letter(
    device: Device, undertaker: Undertaker, body: bytes, properties: dict[str, str], reason: str
) -> None:
    body = body % uuid.uuid4().hex.encode()

    await device.tell(body, **({"type": "stream.create"} | properties))
    letter = await undertaker.find(body)

    assert letter.headers["x-streams-reason"] == reason
    assert letter.headers["x-streams-detail"]
    assert letter.type == properties.get("type", "stream.create")
    assert letter.content_type == properties.get("content_type", "application/json")


async def test_without_reply_to_not_found_is_only_counted(device: Device, undertaker: Undertaker) -> None:
    body = json.dumps({"device_id": f"never-{uuid.uuid4().hex}"}).encode()
    malformed = uuid.uuid4().hex.encode()

    await device.tell(body, type="stream.stop")
    await device.tell(malformed, type="stream.stop")  # a mark: when it is there, the other would be too
    await undertaker.find(malformed)

    assert body not in [letter.body for letter in await undertaker.all()]
