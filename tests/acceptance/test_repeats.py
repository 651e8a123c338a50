"""One message id of one sender takes effect once, and is answered the same each time."""

import asyncio
import json
import uuid

import pytest

from tests.support.wire import DIRECT, Device, Subscriber


@pytest.fixture
def message_id() -> str:
    return uuid.uuid4().hex


def create(device_id: str) -> bytes:
    return json.dumps({"device_id": device_id}).encode()


async def test_a_repeat_gets_the_first_reply_byte_for_byte(
    device: Device, device_id: str, message_id: str
) -> None:
    first = await device.ask(create(device_id), type="stream.create", message_id=message_id)
    await device.command("stop", device_id=device_id)

    repeat = await device.ask(create(device_id), type="stream.create", message_id=message_id)

    assert repeat.body == first.body
    assert (repeat.type, repeat.content_type, repeat.message_id) == (
        first.type,
        first.content_type,
        first.message_id,
    )
    assert (
        json.loads((await device.ask(create(device_id), type="stream.get")).body)["stream"]["status"] == "stopped"
    )


async def test_a_repeat_gets_the_first_reply_at_its_own_address(
    device: Device, device_id: str, message_id: str
) -> None:
    first = await device.ask(create(device_id), type="stream.create", message_id=message_id, correlation_id="a")
    repeat = await device.ask(
        create(device_id), type="stream.create", message_id=message_id, correlation_id="b", reply_to=DIRECT
    )

    assert (first.correlation_id, repeat.correlation_id) == ("a", "b")
    assert (first.routing_key, repeat.routing_key) != (repeat.routing_key, first.routing_key)
    assert repeat.body == first.body


async def test_repeats_at_once_take_effect_once(
    device: Device, subscriber: Subscriber, device_id: str, message_id: str
) -> None:
    asked = [device.ask(create(device_id), type="stream.create", message_id=message_id) for _ in range(20)]
    replies = await asyncio.gather(*asked)

    assert len({reply.body for reply in replies}) == 1
    assert b'"outcome":"created"' in replies[0].body
    await device.command("stop", device_id=device_id)
    events = await subscriber.of_device(device_id, 2)
    assert [event.type for event in events] == ["stream.created", "stream.stopped"]


async def test_a_refusal_is_remembered_too(device: Device, device_id: str, message_id: str) -> None:
    first = await device.ask(create(device_id), type="stream.stop", message_id=message_id)
    assert b'"code":"not_found"' in first.body
    await device.command("create", device_id=device_id)

    repeat = await device.ask(create(device_id), type="stream.stop", message_id=message_id)

    assert repeat.body == first.body
    assert (await device.command("get", device_id=device_id))["stream"]["status"] == "active"


@pytest.mark.parametrize(
    ("kind", "body"),
    [("stream.stop", None), ("stream.create", b"another"), ("stream.create", b"spaces")],
    ids=["another type", "another device", "other bytes that mean the same"],
)
async def test_a_reused_message_id_is_refused_and_changes_nothing(
    device: Device, device_id: str, message_id: str, kind: str, body: bytes | None
) -> None:
    first = await device.ask(create(device_id), type="stream.create", message_id=message_id)
    other = {
        None: create(device_id),
        b"another": create(f"{device_id}-2"),
        b"spaces": create(device_id) + b" ",
    }[body]

    reused = json.loads((await device.ask(other, type=kind, message_id=message_id)).body)

    assert (reused["code"], reused["status"], reused["retryable"]) == ("message_id_reused", 409, False)
    assert message_id in reused["detail"]
    assert (await device.command("get", device_id=device_id))["stream"]["status"] == "active"
    assert (await device.command("get", device_id=f"{device_id}-2"))["code"] == "not_found"
    assert (await device.ask(create(device_id), type="stream.create", message_id=message_id)).body == first.body


async def test_a_message_id_reused_at_once_is_refused(device: Device, device_id: str, message_id: str) -> None:
    replies = await asyncio.gather(
        device.ask(create(device_id), type="stream.create", message_id=message_id),
        device.ask(create(device_id), type="stream.stop", message_id=message_id),
    )

    codes = [json.loads(reply.body).get("code") for reply in replies]
    stream = await device.command("get", device_id=device_id)
    if codes == [None, "message_id_reused"]:
        assert stream["stream"]["status"] == "active"
    else:  # a second worker may carry out the later one first
        assert codes == ["message_id_reused", "not_found"]
        assert stream["code"] == "not_found"


async def test_the_same_message_id_of_another_sender_is_another_command(
    device: Device, device_id: str, message_id: str
) -> None:
    nobody = await device.ask(create(device_id), type="stream.create", message_id=message_id)
    guest = await device.ask(create(device_id), type="stream.create", message_id=message_id, user_id="guest")

    assert json.loads(nobody.body)["outcome"] == "created"
    assert json.loads(guest.body)["outcome"] == "reused"
    assert guest.message_id != nobody.message_id


async def test_without_a_message_id_a_command_is_carried_out_each_time(device: Device, device_id: str) -> None:
    for time, outcome in (("once", b"created"), ("twice", b"reused")):
        correlation_id = f"{time}-{device_id}"
        await device.tell_nameless(
            create(device_id), message_type="stream.create", reply_to=device.address, correlation_id=correlation_id
        )
        reply = await device.stray(lambda message, c=correlation_id: message.correlation_id == c)  # type: ignore[misc]

        assert outcome in reply.body
