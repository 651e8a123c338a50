"""Frames that no library would write, sent to a worker that is running: each is buried, and harms nobody."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.acceptance.conftest import System
from tests.support import raw_amqp as raw
from tests.support.wire import Device, Undertaker, eventually

ROUTING_KEY: Final = b"cam-1"
NOT_UTF8: Final = b"\xff\xfe" * 100


@pytest.fixture
async def publisher(system: System) -> AsyncIterator[raw.RawPublisher]:
    async with raw.RawPublisher(system.url) as publisher:
        yield publisher


def a_command(device_id: str, *, type_of: bytes = b"stream.create") -> tuple[bytes, bytes]:
    """The header and the body of a command as a careful device writes it."""
    body = json.dumps({"device_id": device_id}).encode()
    return raw.header(raw.TYPE, raw.short(type_of), body_size=len(body)), body


@pytest.mark.parametrize(("flags", "properties"), raw.POISONS.values(), ids=raw.POISONS.keys())
async def test_a_poison_is_a_dead_letter_and_the_good_command_behind_it_is_carried_out(
    device: Device,
    undertaker: Undertaker,
    publisher: raw.RawPublisher,
    device_id: str,
    flags: int,
    properties: bytes,
) -> None:
    exchange = f"{device.namespace}.commands"
    body = uuid.uuid4().hex.encode()

    await publisher.publish(exchange, ROUTING_KEY, raw.header(flags, properties, body_size=len(body)), body)

    assert (await device.command("create", device_id=device_id))["outcome"] == "created"
    letter = await undertaker.find(body)
    assert letter.headers["x-streams-reason"] == "undecodable"
    assert letter.headers["x-streams-attempts"] == 1, "it ended no connection"
    assert (letter.headers["x-streams-exchange"], letter.routing_key) == (exchange, ROUTING_KEY.decode())


async def is_active(device: Device, device_id: str) -> bool:
    answer = await device.command("get", device_id=device_id)
    return "stream" in answer and answer["stream"]["status"] == "active"


async def test_poisons_in_a_row_cost_the_good_commands_between_them_nothing(
    system: System, device: Device, undertaker: Undertaker, publisher: raw.RawPublisher, device_id: str
) -> None:
    epochs_before = [worker.log.count("epoch.over") for worker in system.workers]
    poisons = {uuid.uuid4().hex.encode(): poison for poison in raw.POISONS.values()}
    for number, (body, (flags, properties)) in enumerate(poisons.items()):
        header = raw.header(flags, properties, body_size=len(body))
        await publisher.publish(f"{device.namespace}.commands", ROUTING_KEY, header, body)
        await publisher.publish(f"{device.namespace}.commands", ROUTING_KEY, *a_command(f"{device_id}-{number}"))

    for body in poisons:
        assert (await undertaker.find(body)).headers["x-streams-reason"] == "undecodable"
    for number in range(len(poisons)):
        await eventually(lambda name=f"{device_id}-{number}": is_active(device, name))  # type: ignore[misc]
    assert [worker.log.count("epoch.over") for worker in system.workers] == epochs_before


async def test_a_routing_key_that_is_not_utf8_does_not_keep_a_command_from_being_carried_out(
    device: Device, publisher: raw.RawPublisher, device_id: str
) -> None:
    await publisher.publish(f"{device.namespace}.commands", NOT_UTF8, *a_command(device_id))

    await eventually(lambda: is_active(device, device_id))


async def test_a_poison_under_a_routing_key_that_is_not_utf8_is_a_dead_letter_too(
    device: Device, undertaker: Undertaker, publisher: raw.RawPublisher, device_id: str
) -> None:
    flags, properties = raw.POISONS["a table nested 600 levels"]
    body = uuid.uuid4().hex.encode()

    header = raw.header(flags, properties, body_size=len(body))
    await publisher.publish(f"{device.namespace}.commands", NOT_UTF8, header, body)

    assert (await device.command("create", device_id=device_id))["outcome"] == "created"
    assert (await undertaker.find(body)).headers["x-streams-reason"] == "undecodable"
