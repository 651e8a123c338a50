"""What a downstream service sees."""

import asyncio
import json
import uuid

from cloudevents.core.bindings.rabbitmq import RabbitMQMessage, from_rabbitmq_event

from tests.support.wire import Device, Subscriber


async def test_every_change_has_exactly_one_event_with_the_whole_stream(
    device: Device, subscriber: Subscriber, device_id: str
) -> None:
    message_id = uuid.uuid4().hex
    created = await device.command("create", device_id=device_id, message_id=message_id)
    await device.command("create", device_id=device_id)
    await device.command("get", device_id=device_id)
    stopped = await device.command("stop", device_id=device_id)
    await device.command("stop", device_id=device_id)
    await device.command("create", device_id=device_id)

    events = await subscriber.of_device(device_id, 3)
    bodies = [json.loads(event.body) for event in events]

    assert [body["type"] for body in bodies] == ["stream.created", "stream.stopped", "stream.created"]
    assert [body["sequence"] for body in bodies] == ["1", "2", "3"]
    assert bodies[0]["data"] == {"stream": created["stream"]}
    assert bodies[1]["data"] == {"stream": stopped["stream"]}
    assert bodies[0]["causationid"] == message_id
    assert len({body["id"] for body in bodies}) == 3


async def test_an_event_is_a_cloudevent_in_structured_mode(
    device: Device, subscriber: Subscriber, device_id: str
) -> None:
    stream = (await device.command("create", device_id=device_id))["stream"]

    (event,) = await subscriber.of_device(device_id, 1)
    body = json.loads(event.body)

    assert event.content_type == "application/cloudevents+json"
    assert (event.routing_key, event.exchange) == (
        f"stream.created.{device_id}",
        f"{subscriber.namespace}.events",
    )
    assert (event.message_id, event.type, event.app_id) == (body["id"], "stream.created", "stream-worker")
    assert event.delivery_mode == 2
    assert body == {
        "specversion": "1.0",
        "id": body["id"],
        "source": "/streams",
        "type": "stream.created",
        "subject": stream["id"],
        "time": stream["created_at"],
        "datacontenttype": "application/json",
        "dataschema": "urn:streams:schema:stream:1",
        "sequence": "1",
        "causationid": body["causationid"],
        "data": {"stream": stream},
    }


async def test_the_cloudevents_sdk_reads_our_events(
    device: Device, subscriber: Subscriber, device_id: str
) -> None:
    stream = (await device.command("create", device_id=device_id))["stream"]

    (event,) = await subscriber.of_device(device_id, 1)
    read = from_rabbitmq_event(
        RabbitMQMessage(headers=dict(event.headers), content_type=event.content_type, body=event.body)
    )

    assert read.get_type() == "stream.created"
    assert read.get_subject() == stream["id"]
    assert read.get_data() == {"stream": stream}
    assert read.get_extension("sequence") == "1"


async def test_a_command_without_a_message_id_causes_an_event_without_a_causation_id(
    device: Device, subscriber: Subscriber, device_id: str
) -> None:
    body = json.dumps({"device_id": device_id}).encode()

    await device.tell_nameless(body, message_type="stream.create")
    (event,) = await subscriber.of_device(device_id, 1)

    assert "causationid" not in json.loads(event.body)


async def test_subscribers_choose_by_type_by_device_or_everything(device: Device, device_id: str) -> None:
    bindings = ("stream.created.#", f"stream.*.{device_id}", "stream.stopped.*", "#")
    subscribers = [Subscriber(device._url, device.namespace, binding=binding) for binding in bindings]
    for subscriber in subscribers:
        await subscriber.__aenter__()
    try:
        await device.command("create", device_id=device_id)
        await device.command("stop", device_id=device_id)

        everything = await subscribers[3].of_device(device_id, 2)
        assert [event.type for event in everything] == ["stream.created", "stream.stopped"]
        assert [event.type for event in await subscribers[1].of_device(device_id, 2)] == [
            "stream.created",
            "stream.stopped",
        ]
        assert [event.type for event in await subscribers[0].of_device(device_id, 1)] == ["stream.created"]
        assert [event.type for event in await subscribers[2].of_device(device_id, 1)] == ["stream.stopped"]
    finally:
        await asyncio.gather(*(subscriber.__aexit__(None, None, None) for subscriber in subscribers))


async def test_a_busy_device_has_a_gapless_history(device: Device, subscriber: Subscriber, device_id: str) -> None:
    kinds = ["create", "stop", "get"] * 60

    answers = await asyncio.gather(*(device.command(kind, device_id=device_id) for kind in kinds))
    changes = [answer["outcome"] for answer in answers if answer.get("outcome") in ("created", "stopped")]
    events = [json.loads(event.body) for event in await subscriber.of_device(device_id, len(changes))]

    assert [int(event["sequence"]) for event in events] == list(range(1, len(changes) + 1))
    kinds = [event["type"] for event in events]
    assert kinds == (["stream.created", "stream.stopped"] * len(kinds))[: len(kinds)]
