"""Every command by every selector, and every outcome."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.wire import DIRECT, Device, Subscriber


async def made(device: Device, device_id: str) -> dict[str, Any]:
    body = await device.command("create", device_id=device_id)
    assert body["outcome"] == "created"
    stream: dict[str, Any] = body["stream"]
    return stream


def selector(by: str, stream: dict[str, Any]) -> dict[str, str]:
    return {
        "device_id": {"device_id": stream["device_id"]},
        "stream_id": {"stream_id": stream["id"]},
        "code": {"code": stream["code"]},
    }[by]


every_selector = pytest.mark.parametrize("by", ["device_id", "stream_id", "code"])


async def test_create_makes_an_active_stream(device: Device, device_id: str) -> None:
    stream = await made(device, device_id)

    assert list(stream) == ["id", "device_id", "code", "status", "created_at", "stopped_at", "version"]
    assert uuid.UUID(stream["id"]).version == 7
    assert stream["device_id"] == device_id
    assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{8}", stream["code"])
    assert (stream["status"], stream["stopped_at"], stream["version"]) == ("active", None, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stream["created_at"])
    age = datetime.now(UTC) - datetime.fromisoformat(stream["created_at"])
    assert abs(age.total_seconds()) < 60


async def test_create_for_a_device_with_an_active_stream_gives_that_one_back(
    device: Device, device_id: str
) -> None:
    stream = await made(device, device_id)

    again = await device.command("create", device_id=device_id)

    assert again == {"outcome": "reused", "stream": stream}


@every_selector
async def test_stop_ends_the_stream(device: Device, device_id: str, by: str) -> None:
    stream = await made(device, device_id)

    body = await device.command("stop", **selector(by, stream))

    assert body["outcome"] == "stopped"
    stopped = body["stream"]
    assert stopped["stopped_at"] >= stream["created_at"]
    assert stopped == stream | {"status": "stopped", "version": 2, "stopped_at": stopped["stopped_at"]}


@every_selector
async def test_stopping_a_stopped_stream_succeeds_and_changes_nothing(
    device: Device, device_id: str, by: str
) -> None:
    stream = await made(device, device_id)
    first = await device.command("stop", **selector(by, stream))

    again = await device.command("stop", **selector(by, stream))

    assert again == {"outcome": "already_stopped", "stream": first["stream"]}


@every_selector
async def test_get_reads_an_active_and_a_stopped_stream(device: Device, device_id: str, by: str) -> None:
    stream = await made(device, device_id)
    assert await device.command("get", **selector(by, stream)) == {"outcome": "found", "stream": stream}

    stopped = (await device.command("stop", stream_id=stream["id"]))["stream"]

    assert await device.command("get", **selector(by, stream)) == {"outcome": "found", "stream": stopped}


async def test_a_device_whose_stream_ended_gets_a_new_one(device: Device, device_id: str) -> None:
    first = await made(device, device_id)
    await device.command("stop", device_id=device_id)

    second = await made(device, device_id)

    assert second["id"] != first["id"]
    assert second["code"] != first["code"]
    assert second["version"] == 1


async def test_by_device_means_its_active_stream_else_its_latest(device: Device, device_id: str) -> None:
    first = await made(device, device_id)
    await device.command("stop", device_id=device_id)
    second = await made(device, device_id)

    assert (await device.command("get", device_id=device_id))["stream"] == second
    assert (await device.command("get", code=first["code"]))["stream"]["id"] == first["id"]

    stopped = (await device.command("stop", device_id=device_id))["stream"]

    assert stopped["id"] == second["id"]
    assert (await device.command("get", device_id=device_id))["stream"] == stopped


async def test_a_code_is_read_in_any_case_with_hyphens_spaces_and_look_alikes(
    device: Device, device_id: str
) -> None:
    stream = await made(device, device_id)
    code = stream["code"]
    sloppy = f" {code[:4].lower()}-{code[4:]} ".replace("1", "l").replace("0", "o")

    assert (await device.command("get", code=sloppy))["stream"] == stream
    assert (await device.command("stop", code=sloppy))["stream"]["id"] == stream["id"]


@pytest.mark.parametrize("kind", ["stop", "get"])
async def test_what_is_not_there_is_not_found(device: Device, device_id: str, kind: str) -> None:
    nobody = str(uuid.uuid4())
    for members, detail in (
        ({"device_id": device_id}, f"The device {device_id} never had a stream."),
        ({"stream_id": nobody}, f"No stream has the id {nobody}."),
        ({"code": "zzzz-zzzz"}, "No stream has the code ZZZZZZZZ."),
    ):
        assert await device.command(kind, **members) == {
            "type": "urn:streams:problem:not-found",
            "title": "Stream not found",
            "status": 404,
            "detail": detail,
            "code": "not_found",
            "retryable": False,
            "errors": [],
        }


async def test_unknown_members_are_ignored(device: Device, device_id: str) -> None:
    body = await device.command("create", device_id=device_id, firmware="9.1", nested={"a": [1, None, True]})

    assert body["outcome"] == "created"


async def test_a_reply_is_json_of_the_type_reply_with_the_askers_correlation_id(
    device: Device, device_id: str
) -> None:
    body = f'{{"device_id": "{device_id}"}}'.encode()

    reply = await device.ask(body, type="stream.create", correlation_id="my-own-42")

    assert reply.type == "stream.reply"
    assert reply.content_type == "application/json"
    assert reply.correlation_id == "my-own-42"
    assert reply.app_id == "stream-worker"
    assert uuid.UUID(reply.message_id or "")


async def test_where_the_correlation_id_is_missing_the_reply_carries_the_message_id(
    device: Device, device_id: str
) -> None:
    message_id = uuid.uuid4().hex
    body = f'{{"device_id": "{device_id}"}}'.encode()

    await device.tell(body, type="stream.create", message_id=message_id, reply_to=device.address)
    reply = await device.stray(lambda message: message.correlation_id == message_id)

    assert reply.message_id != message_id


async def test_where_both_are_missing_the_reply_carries_nothing(device: Device, device_id: str) -> None:
    body = f'{{"device_id": "{device_id}"}}'.encode()

    await device.tell_nameless(body, message_type="stream.create", reply_to=device.address)
    reply = await device.stray(lambda message: device_id.encode() in message.body)

    assert reply.correlation_id is None


async def test_a_direct_reply_reaches_its_asker(device: Device, device_id: str) -> None:
    body = f'{{"device_id": "{device_id}"}}'.encode()

    reply = await device.ask(body, type="stream.create", reply_to=DIRECT)

    assert b'"outcome":"created"' in reply.body


async def test_without_reply_to_a_command_is_carried_out_all_the_same(
    device: Device, subscriber: Subscriber, device_id: str
) -> None:
    body = f'{{"device_id": "{device_id}"}}'.encode()

    await device.tell(body, type="stream.create")
    await subscriber.of_device(device_id, 1)

    assert (await device.command("create", device_id=device_id))["outcome"] == "reused"


async def test_a_command_straight_to_the_queue_is_the_same(device: Device, device_id: str) -> None:
    body = f'{{"device_id": "{device_id}"}}'.encode()

    reply = await device.ask(body, type="stream.create", straight=True)

    assert b'"outcome":"created"' in reply.body
