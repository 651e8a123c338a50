"""`stream-worker dead replay` against a real broker: commands go back as they came, and no letter is lost."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import DeliveryError

from devtools.broker import PrivateBroker
from tests.support.broker_users import User, make
from tests.support.command_line import Ended, command, environment
from tests.support.direct_addresses import direct_address
from tests.support.graveyard import Graveyard
from tests.support.proxy import Proxy
from tests.support.wire import Device, Subscriber, eventually
from tests.support.worker_process import WorkerProcess, settings_of

MANY = 1_200


@pytest.fixture
async def graveyard(broker: PrivateBroker, namespace: str) -> AsyncIterator[Graveyard]:
    async with Graveyard(broker.url, namespace) as graveyard:
        yield graveyard


async def replayed(graveyard: Graveyard, *arguments: str) -> tuple[Ended, AbstractIncomingMessage]:
    """Replay, and return the command that came of it."""
    ended = await graveyard.dead("replay", "--yes", *arguments)
    assert ended.code == 0, ended.err
    return ended, await graveyard.get(f"{graveyard.namespace}.commands")


def headers_of(sent: AbstractIncomingMessage) -> dict[str, object]:
    """Without what the queue adds to each delivery."""
    return {name: value for name, value in sent.headers.items() if name != "x-delivery-count"}


async def test_a_command_goes_back_as_it_came(graveyard: Graveyard) -> None:
    sent_at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    await graveyard.bury(
        b'{"device_id": "cam-1"}',
        message_id="m-7",
        correlation_id="c-7",
        reply_to="amq.gen-x",
        content_type="application/json",
        app_id="cam",
        timestamp=sent_at,
        headers={"traceparent": "00-1", "x-streams-expiration": "10", "x-streams-user-id": "guest"},
    )

    ended, sent = await replayed(graveyard)

    assert (ended.out, ended.err) == ("replayed 1\n", "")
    assert (sent.body, sent.routing_key, sent.exchange) == (
        b'{"device_id": "cam-1"}',
        "cam-1",
        f"{graveyard.namespace}.commands",
    )
    assert (sent.message_id, sent.correlation_id, sent.reply_to, sent.type) == (
        "m-7",
        "c-7",
        "amq.gen-x",
        "stream.create",
    )
    assert (sent.content_type, sent.app_id, sent.user_id) == ("application/json", "cam", "guest")
    assert (sent.timestamp, sent.expiration, sent.delivery_mode) == (sent_at, None, 2)
    assert headers_of(sent) == {"traceparent": "00-1"}
    assert await graveyard.listed() == []


async def test_an_asker_by_a_direct_address_is_not_answered_after_so_long(graveyard: Graveyard) -> None:
    """A worker's reply to one that is gone may cost it a connection, and is heard by nobody."""
    await graveyard.bury(b"late", reply_to=direct_address("reply@1", 700), correlation_id="c-7")

    _, sent = await replayed(graveyard)

    assert (sent.body, sent.reply_to, sent.correlation_id) == (b"late", None, "c-7")


async def test_what_a_worker_would_refuse_for_its_age_stays_a_letter(graveyard: Graveyard) -> None:
    await graveyard.bury(b"sent long ago", message_id="sent", timestamp=datetime.now(UTC) - timedelta(minutes=15))
    await graveyard.bury(b"dead long ago", message_id="dead", died_s_ago=900)
    await graveyard.bury(b"in time", message_id="young", died_s_ago=300)
    memory = {"STREAMS_HANDLED_RETENTION_S": "600"}

    would = await graveyard.dead("replay", "--dry-run", **memory)
    would_json = await graveyard.dead("replay", "--dry-run", "--json", **memory)
    did = await graveyard.dead("replay", "--yes", **memory)
    did_json = await graveyard.dead("replay", "--yes", "--json", **memory)

    def outcomes(ended: Ended) -> list[tuple[str, str]]:
        return [(one["message_id"], one.get("outcome")) for one in map(json.loads, ended.out.splitlines())]

    assert (would.code, [line.split()[4] for line in would.out.splitlines()[1:]]) == (0, ["young"])
    *too_old, count, hint = would.err.splitlines()
    assert [line.split()[:2] for line in too_old] == [["too_old:", "1"], ["too_old:", "2"]]
    assert "2 of them are older than STREAMS_HANDLED_RETENTION_S" in hint
    assert count == "1 of 3 letters would be replayed; nothing was changed."
    assert outcomes(would_json) == [("sent", "too_old"), ("dead", "too_old"), ("young", None)]
    assert (did.code, did.out) == (1, "replayed 1, too_old 2\n")
    assert "`dead discard` removes them" in did.err.splitlines()[-1]
    assert (did_json.code, outcomes(did_json)) == (1, [("sent", "too_old"), ("dead", "too_old")])
    assert await graveyard.ids() == ["sent", "dead"]
    assert (await graveyard.get(f"{graveyard.namespace}.commands")).message_id == "young"


async def test_what_had_expired_does_not_expire_again_and_says_when_it_died(graveyard: Graveyard) -> None:
    await graveyard.expire(b"too late", message_id="m-1", user_id="guest")

    _, sent = await replayed(graveyard, "--reason", "expired")

    assert (sent.expiration, sent.user_id, sent.routing_key, headers_of(sent)) == (None, "guest", "cam-1", {})
    assert sent.timestamp is not None
    assert datetime.now(UTC) - sent.timestamp < timedelta(minutes=5)


async def test_only_what_is_meant_goes_back_and_each_letter_is_told_of(graveyard: Graveyard) -> None:
    await graveyard.bury(b"a", b"b", b"c", reason="malformed", message_id="bad-{}")
    await graveyard.bury(b"d")

    ended = await graveyard.dead("replay", "--reason", "malformed", "--limit", "2", "--yes", "--json")

    outcomes = [(letter["message_id"], letter["outcome"]) for letter in map(json.loads, ended.out.splitlines())]
    assert (ended.code, outcomes) == (0, [("bad-1", "replayed"), ("bad-2", "replayed")])
    assert await graveyard.ids() == ["bad-3", "m-1"]
    await graveyard.until_ready("commands", 2)


async def test_many_go_back_in_order_and_progress_is_told(graveyard: Graveyard) -> None:
    await graveyard.bury(*(b"%d" % number for number in range(MANY)))

    ended = await graveyard.dead("replay", "--yes")

    assert (ended.code, ended.out) == (0, f"replayed {MANY}\n")
    assert ended.err.splitlines() == [f"replay: {count} of {MANY}" for count in (500, 1_000)]
    await graveyard.until_ready("commands", MANY)
    queue = await graveyard.channel.get_queue(f"{graveyard.namespace}.commands", ensure=False)
    for number in range(MANY):
        assert (await queue.get(no_ack=True)).body == b"%d" % number
    assert await graveyard.listed() == []


async def test_a_command_without_a_message_id_stays_without(graveyard: Graveyard) -> None:
    await graveyard.bury(b"1", b"2", message_id="made-up-{}", headers={"x-streams-nameless": True})

    ended = await graveyard.dead("replay", "--yes")

    sent = [await graveyard.get(f"{graveyard.namespace}.commands") for _ in range(2)]
    assert ended.out == "replayed 2\n"
    assert [(one.body, one.message_id) for one in sent] == [(b"1", None), (b"2", None)]


@pytest.mark.parametrize(
    "letters",
    [
        {"message_id": "m-{}"},
        {"message_id": "the same"},
        {"message_id": "m-{}", "headers": {"x-streams-nameless": True}},
    ],
    ids=["named", "of one name", "nameless"],
)
async def test_a_command_that_comes_back_stays_a_letter(graveyard: Graveyard, letters: dict[str, Any]) -> None:
    await graveyard.bury(b"1", b"2", b"3", **letters)
    commands = await graveyard.channel.get_queue(f"{graveyard.namespace}.commands", ensure=False)
    await commands.unbind(f"{graveyard.namespace}.commands", "#")

    ended = await graveyard.dead("replay", "--yes")

    assert (ended.code, ended.out) == (1, "refused 3\n")
    assert [line.split()[:2] for line in ended.err.splitlines()] == [["refused:", f"{n}"] for n in (1, 2, 3)]
    await graveyard.until_ready("dead", 3)


async def test_a_full_queue_refuses_and_the_letter_stays(broker: PrivateBroker, graveyard: Graveyard) -> None:
    policy = f"full-{graveyard.namespace}"
    definition = json.dumps({"max-length": 1, "overflow": "reject-publish"})
    await asyncio.to_thread(
        broker.ctl, "set_policy", policy, f"^{graveyard.namespace}.commands$", definition, "--apply-to", "queues"
    )
    await graveyard.bury(*[b"no room"] * 20)

    async def is_full() -> bool:
        try:
            await graveyard.send(b"in the way")
        except DeliveryError:
            return True
        return False

    try:
        await eventually(is_full)
        ended = await graveyard.dead("replay", "--yes")
    finally:
        await asyncio.to_thread(broker.ctl, "clear_policy", policy)

    assert (ended.code, ended.out) == (1, "refused 20\n")
    await graveyard.until_ready("dead", 20)


async def test_another_sender_needs_the_tag_impersonator(broker: PrivateBroker, graveyard: Graveyard) -> None:
    operator = User(name=f"op-{graveyard.namespace}", write=".*", read=".*")
    await make(broker, [operator])
    as_operator = {"STREAMS_AMQP_URL": operator.url(broker)}
    await graveyard.bury(b"its own", message_id="own", headers={"x-streams-user-id": operator.name})
    await graveyard.bury(b"anothers", b"more", headers={"x-streams-user-id": "alice"})

    refused = await graveyard.dead("replay", "--yes", **as_operator)

    assert (refused.code, refused.out) == (1, "replayed 1, unconfirmed 2\n")
    said = refused.err.splitlines()[-1]
    assert f"the broker user {operator.name} may not send for alice: it has not the tag impersonator" in said
    assert f"rabbitmqctl set_user_tags {operator.name} impersonator" in said
    assert await graveyard.ids() == ["m-1", "m-2"]
    assert await graveyard.ready("commands") == 1

    await asyncio.to_thread(broker.ctl, "set_user_tags", operator.name, "impersonator")
    allowed = await graveyard.dead("replay", "--yes", **as_operator)

    assert (allowed.code, allowed.out) == (0, "replayed 2\n")
    sent = [await graveyard.get(f"{graveyard.namespace}.commands") for _ in range(3)]
    assert [one.user_id for one in sent] == [operator.name, "alice", "alice"]


async def test_a_sender_that_a_stranger_wrote_into_the_headers_is_not_the_sender(graveyard: Graveyard) -> None:
    """By an expired message, which the broker gives up with all of its headers."""
    await graveyard.expire(b"forged", headers={"x-streams-user-id": "root", "x-streams-reason": "internal"})

    _, sent = await replayed(graveyard)

    assert (sent.user_id, headers_of(sent)) == (None, {})


async def test_who_may_not_publish_is_told_so_and_nothing_is_lost(
    broker: PrivateBroker, graveyard: Graveyard
) -> None:
    reader = User(name=f"reader-{graveyard.namespace}", read=".*")
    await make(broker, [reader])
    await graveyard.bury(b"one", b"two")

    ended = await graveyard.dead("replay", "--yes", STREAMS_AMQP_URL=reader.url(broker))

    assert (ended.code, ended.out) == (1, "unconfirmed 2\n")
    assert "the broker does not take the command" in ended.err.splitlines()[-1]
    assert await graveyard.ids() == ["m-1", "m-2"]


@pytest.mark.parametrize("moment", ["confirmed and not removed", "published and not confirmed"])
async def test_killed_at_the_worst_moment_it_leaves_the_letter_and_its_replay(
    graveyard: Graveyard, moment: str
) -> None:
    await graveyard.bury(b'{"device_id": "cam-1"}', message_id="m-7")
    async with Proxy(graveyard.settings["STREAMS_AMQP_URL"], is_tapped=True) as proxy:
        reached = (
            proxy.of("dead letters").when(lambda said: said.is_ack, hold="this")
            if moment == "confirmed and not removed"
            else proxy.of("replay").when(lambda said: said.is_confirm, hold="this")
        )
        process = await asyncio.create_subprocess_exec(
            *command("dead", "replay", "--yes"),
            env=environment(**graveyard.settings | {"STREAMS_AMQP_URL": proxy.url}),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await reached
        finally:
            process.kill()
            await process.wait()
        proxy.cut()
        reached.release()

    await graveyard.until_ready("dead", 1)
    assert await graveyard.ids() == ["m-7"]
    _, second = await replayed(graveyard)
    first = await graveyard.get(f"{graveyard.namespace}.commands")
    assert first.message_id == second.message_id == "m-7"
    assert first.body == second.body


async def test_a_line_that_is_cut_is_told_and_costs_no_letter(graveyard: Graveyard) -> None:
    await graveyard.bury(b"one")
    async with Proxy(graveyard.settings["STREAMS_AMQP_URL"], is_tapped=True) as proxy:
        reached = proxy.of("replay").when(lambda said: said.is_publish, hold="this")
        running = asyncio.create_task(
            graveyard.dead("replay", "--yes", STREAMS_AMQP_URL=proxy.url), name="test.replay"
        )
        await reached
        proxy.of("replay").cut()
        reached.release()
        ended = await running

    assert (ended.code, ended.out) == (69, "unconfirmed 1\n")
    assert "the broker confirms nothing" in ended.err
    assert await graveyard.ids() == ["m-1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A worker at work, and whoever talks to it."""

    device: Device
    subscriber: Subscriber
    graveyard: Graveyard


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def system(broker: PrivateBroker, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    folder: Path = tmp_path_factory.mktemp("database")
    namespace = f"d{uuid.uuid4().hex[:8]}"
    settings = settings_of(broker.url, namespace, f"sqlite:///{folder}/streams.db")
    async with (
        WorkerProcess(settings),
        Device(broker.url, namespace) as device,
        Subscriber(broker.url, namespace) as subscriber,
        Graveyard(broker.url, namespace) as graveyard,
    ):
        yield System(device=device, subscriber=subscriber, graveyard=graveyard)


def a_command(device_id: str) -> bytes:
    return json.dumps({"device_id": device_id}).encode()


async def test_what_was_carried_out_is_answered_again_and_done_once(system: System) -> None:
    body, name = a_command("cam-once"), uuid.uuid4().hex
    first = await system.device.ask(body, type="stream.create", message_id=name)
    await system.subscriber.of_device("cam-once", 1)
    await system.graveyard.bury(
        body,
        message_id=name,
        correlation_id="again",
        reply_to=system.device.address,
        content_type="application/json",
    )

    ended = await system.graveyard.dead("replay", "--id", name, "--yes")
    again = await system.device.stray(lambda message: message.correlation_id == "again")

    assert ended.out == "replayed 1\n"
    assert (again.body, again.message_id) == (first.body, first.message_id)
    await system.device.command("stop", device_id="cam-once")
    facts = await system.subscriber.of_device("cam-once", 2)
    assert [json.loads(fact.body)["sequence"] for fact in facts] == ["1", "2"]


async def test_a_poisoned_message_is_found_and_shown(system: System) -> None:
    name = uuid.uuid4().hex
    await system.device.tell(b"{no JSON\x1b", type="stream.create", message_id=name, expiration=60)

    async def look() -> list[dict[str, Any]]:
        return await system.graveyard.listed("--id", name, "--reason", "malformed")

    (letter,) = await eventually(look)
    shown = await system.graveyard.dead("show", name)

    assert (letter["type"], letter["routing_key"]) == ("stream.create", "some-device")
    assert shown.out.endswith("body (9 bytes)\n{no JSON\\x1b\n")
    assert "  x-streams-expiration: 60000\n" in shown.out


async def test_a_message_without_an_id_is_listed_without(system: System) -> None:
    async def look() -> list[dict[str, Any]]:
        return [one for one in await system.graveyard.listed() if one["size_bytes"] == len(b"{it has no id")]

    async with Device(system.graveyard.settings["STREAMS_AMQP_URL"], system.device.namespace) as device:
        await device.tell_nameless(b"{it has no id", message_type="stream.create")
        (letter,) = await eventually(look)
    assert letter["message_id"] is None


async def test_a_reply_address_that_is_not_allowed_can_be_left_out(system: System) -> None:
    name = uuid.uuid4().hex
    await system.device.tell(
        a_command("cam-quiet"), type="stream.create", message_id=name, reply_to="streams.commands"
    )

    async def is_dead() -> list[str]:
        return await system.graveyard.ids("--id", name)

    assert await eventually(is_dead) == [name]

    came_back = await system.graveyard.dead("replay", "--id", name, "--yes")
    assert "1 of them became letters because of their reply_to, and will again" in came_back.err
    assert await eventually(is_dead) == [name]

    carried_out = await system.graveyard.dead("replay", "--id", name, "--yes", "--without-reply-to")
    assert (carried_out.out, carried_out.err) == ("replayed 1\n", "")
    (fact,) = await system.subscriber.of_device("cam-quiet", 1)
    assert json.loads(fact.body)["causationid"] == name
    assert await system.graveyard.ids("--id", name) == []
