"""Bad input gets a clear end, and the next good command is carried out."""

import json
import uuid

import pytest

from tests.support.wire import Device, Undertaker, eventually


async def is_alive(device: Device) -> bool:
    fresh = f"after-{uuid.uuid4().hex[:10]}"
    return bool((await device.command("create", device_id=fresh))["outcome"] == "created")


@pytest.mark.parametrize(
    "address",
    [
        "{namespace}.commands",
        "{namespace}.dead",
        "{namespace}.events",
        "{namespace}.reply",
        "{namespace}.reply.",
        "{namespace}.reply.a b",
        "{namespace}.reply.a\n",
        "{namespace}xreply.a",
        "x{namespace}.reply.a",
        "x.{namespace}.reply.a",
        "streams.reply.a",
        "cam-1",
        "amq.gen-",
        "amq.gen-abc\n",
        "xamq.gen-abc",
    ],
)
async def test_a_reply_to_that_is_not_allowed_is_a_dead_letter(
    device: Device, undertaker: Undertaker, device_id: str, address: str
) -> None:
    address = address.format(namespace=device.namespace)
    body = json.dumps({"device_id": device_id}).encode()

    await device.tell_nameless(body, message_type="stream.create", reply_to=address, correlation_id="c-7")
    letter = await undertaker.find(body)

    assert letter.headers["x-streams-reason"] == "reply_to_not_allowed"
    assert (letter.reply_to, letter.correlation_id, letter.type) == (address, "c-7", "stream.create")
    assert (await device.command("get", device_id=device_id))["code"] == "not_found"
    assert await is_alive(device)


async def test_a_reply_goes_to_a_queue_of_the_namespace_for_replies(device: Device, device_id: str) -> None:
    queue = await device.channel.declare_queue(f"{device.namespace}.reply.{device_id}", exclusive=True)
    body = json.dumps({"device_id": device_id}).encode()

    await device.tell(body, type="stream.create", reply_to=queue.name, correlation_id="c-7")

    reply = await eventually(lambda: queue.get(fail=False, no_ack=True))
    assert reply is not None
    assert (reply.type, reply.correlation_id) == ("stream.reply", "c-7")
    assert json.loads(reply.body)["outcome"] == "created"


async def test_a_dead_letter_says_where_it_came_from_and_why(device: Device, undertaker: Undertaker) -> None:
    body = uuid.uuid4().hex.encode()

    await device.tell(
        body,
        type="stream.create",
        user_id="guest",
        expiration=60,
        message_id="m-1",
        headers={"traceparent": "00-1-2-03", "x-streams-reason": "forged"},
    )
    letter = await undertaker.find(body)

    headers = dict(letter.headers)
    assert headers.pop("x-streams-failed-at")
    assert headers.pop("x-streams-worker")
    assert headers.pop("x-streams-detail")
    headers.pop("x-delivery-count", None)
    assert headers == {
        "traceparent": "00-1-2-03",
        "x-streams-reason": "malformed",
        "x-streams-attempts": 1,
        "x-streams-exchange": f"{device.namespace}.commands",
        "x-streams-routing-key": "some-device",
        "x-streams-user-id": "guest",
        "x-streams-expiration": "60000",
    }
    assert (letter.user_id, letter.expiration, letter.message_id) == (None, None, "m-1")
    assert letter.delivery_mode == 2


async def test_a_header_table_over_16_kib_is_undecodable(device: Device, undertaker: Undertaker) -> None:
    body = uuid.uuid4().hex.encode()

    await device.tell(body, type="stream.create", headers={f"h{n}": "x" * 1_000 for n in range(20)})
    letter = await undertaker.find(body)

    assert letter.headers["x-streams-reason"] == "undecodable"
    assert await is_alive(device)


async def test_many_bad_messages_cost_the_good_ones_between_them_nothing(
    device: Device, undertaker: Undertaker
) -> None:
    marks = [uuid.uuid4().hex for _ in range(30)]
    for mark in marks:
        await device.tell(mark.encode(), type="stream.create")
        assert (await device.command("create", device_id=f"good-{mark}"))["outcome"] == "created"

    for mark in marks:
        assert (await undertaker.find(mark.encode())).headers["x-streams-reason"] == "malformed"
