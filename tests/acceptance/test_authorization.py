"""Who may do what, with users of the broker that have no more rights than they need."""

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
from aio_pika.exceptions import ChannelClosed

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from stream_client import StreamsClient
from tests.support.broker_side import options
from tests.support.broker_users import Sender, User, a_device, a_worker, make
from tests.support.wire import ANSWER_WITHIN_S, Undertaker, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp import session
from worker.amqp.topology import topology

ABSENT_ID = "0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"
ABSENT_CODE = "ZZZZZZZZ"
BURST = 10
RATE_A_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Two devices, an operator and a worker, known to the broker, and where they may go."""

    alice: User
    ben: User
    boss: User
    worker: User
    namespaces: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A running worker that asks who is there."""

    broker: PrivateBroker
    namespace: str
    worker: WorkerProcess
    people: People


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def people(broker: PrivateBroker) -> People:
    tag = uuid.uuid4().hex[:8]
    namespaces = {kind: f"p{tag}.{kind}" for kind in ("sqlite", "postgresql", "rated")}
    every = list(namespaces.values())
    people = People(
        alice=a_device(f"alice-{tag}", every),
        ben=a_device(f"ben-{tag}", every),
        boss=a_device(f"boss-{tag}", every),
        worker=a_worker(f"worker-{tag}", every),
        namespaces=namespaces,
    )
    await make(broker, [people.alice, people.ben, people.boss, people.worker])
    for namespace in every:
        await session.apply_topology(options(broker.url), topology(namespace))
    return people


def worker_for(
    broker: PrivateBroker, people: People, namespace: str, database_url: str, **more: str
) -> WorkerProcess:
    """A worker that may do nothing on the broker but its work."""
    settings = settings_of(people.worker.url(broker), namespace, database_url)
    return WorkerProcess(
        settings
        | {
            "STREAMS_TOPOLOGY": "check",
            "STREAMS_AUTHORIZATION": "device",
            "STREAMS_OPERATORS": people.boss.name,
        }
        | more
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["sqlite", "postgresql"])
async def place(
    request: pytest.FixtureRequest,
    broker: PrivateBroker,
    people: People,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Place]:
    namespace = people.namespaces[request.param]
    if request.param == "sqlite":
        folder: Path = tmp_path_factory.mktemp("database")
        database_url = f"sqlite+aiosqlite:///{folder}/streams.db"
    else:
        postgres: PrivatePostgres = request.getfixturevalue("postgres")
        postgres.create_database(namespace)
        database_url = postgres.url(namespace)
    async with worker_for(broker, people, namespace, database_url) as worker:
        yield Place(broker=broker, namespace=namespace, worker=worker, people=people)


@pytest_asyncio.fixture(loop_scope="session")
async def alice(place: Place) -> AsyncIterator[Sender]:
    async with Sender(place.broker, place.namespace, place.people.alice) as alice:
        yield alice


@pytest_asyncio.fixture(loop_scope="session")
async def ben(place: Place) -> AsyncIterator[Sender]:
    async with Sender(place.broker, place.namespace, place.people.ben) as ben:
        yield ben


@pytest_asyncio.fixture(loop_scope="session")
async def boss(place: Place) -> AsyncIterator[Sender]:
    async with Sender(place.broker, place.namespace, place.people.boss) as boss:
        yield boss


async def ask(
    sender: Sender, kind: str, *, properties: dict[str, Any] | None = None, **members: str
) -> dict[str, Any]:
    """Ask for something and return the reply's body."""
    reply = await sender.ask(json.dumps(members).encode(), type=f"stream.{kind}", **properties or {})
    body: dict[str, Any] = json.loads(reply.body)
    return body


async def streaming(sender: Sender) -> dict[str, Any]:
    """Let a device stream, and return its stream."""
    stream: dict[str, Any] = (await ask(sender, "create", device_id=sender.name))["stream"]
    assert (stream["device_id"], stream["status"]) == (sender.name, "active")
    return stream


def is_forbidden(body: dict[str, Any]) -> bool:
    return (body.get("code"), body.get("status"), body.get("retryable")) == ("forbidden", 403, False)


async def test_a_device_creates_gets_and_stops_for_itself(alice: Sender) -> None:
    for by in ("stream_id", "code", "device_id"):
        stream = await streaming(alice)
        name: dict[str, Any] = {by: alice.name if by == "device_id" else stream[by.removeprefix("stream_")]}

        assert (await ask(alice, "get", **name))["stream"] == stream
        assert (await ask(alice, "create", device_id=alice.name))["outcome"] == "reused"
        assert (await ask(alice, "stop", **name))["outcome"] == "stopped"
        assert (await ask(alice, "stop", **name))["outcome"] == "already_stopped"


async def test_for_another_device_nothing_is_done_and_nothing_is_told(alice: Sender, ben: Sender) -> None:
    stream = await streaming(alice)

    answers = [await ask(ben, kind, device_id=alice.name) for kind in ("create", "stop", "get")]

    assert all(map(is_forbidden, answers))
    assert {answer["detail"] for answer in answers} == {f"This sender may not act for the device {alice.name}."}
    assert (await ask(alice, "get", device_id=alice.name))["stream"] == stream


async def test_anothers_stream_is_answered_like_one_that_is_not_there(alice: Sender, ben: Sender) -> None:
    stream = await streaming(alice)
    hidden = [
        await ask(ben, "get", stream_id=stream["id"]),
        await ask(ben, "stop", stream_id=stream["id"]),
        await ask(ben, "stop", code=stream["code"]),
    ]
    absent = [
        await ask(ben, "get", stream_id=ABSENT_ID),
        await ask(ben, "stop", stream_id=ABSENT_ID),
        await ask(ben, "stop", code=ABSENT_CODE),
    ]

    told = json.dumps(hidden).replace(stream["id"], ABSENT_ID).replace(stream["code"], ABSENT_CODE)
    assert json.loads(told) == absent
    assert {answer["code"] for answer in absent} == {"not_found"}
    assert (await ask(alice, "get", device_id=alice.name))["stream"] == stream


async def test_whoever_has_a_code_may_see_its_stream(alice: Sender, ben: Sender) -> None:
    stream = await streaming(alice)

    assert (await ask(ben, "get", code=stream["code"]))["stream"] == stream
    assert (await ask(ben, "get", code=stream["code"].lower()))["stream"] == stream


async def test_an_operator_acts_for_every_device(alice: Sender, boss: Sender) -> None:
    stream = await streaming(alice)

    for name in ({"device_id": alice.name}, {"stream_id": stream["id"]}, {"code": stream["code"]}):
        assert (await ask(boss, "get", **name))["stream"] == stream
    assert (await ask(boss, "create", device_id=alice.name))["outcome"] == "reused"
    assert (await ask(boss, "stop", stream_id=stream["id"]))["outcome"] == "stopped"
    assert (await ask(boss, "stop", code=stream["code"]))["outcome"] == "already_stopped"
    assert (await ask(boss, "stop", device_id=alice.name))["outcome"] == "already_stopped"


async def test_our_own_client_says_who_it_is(place: Place) -> None:
    url = place.people.alice.url(place.broker)
    async with StreamsClient(url, namespace=place.namespace, timeout_s=ANSWER_WITHIN_S) as client:
        made = await client.create(place.people.alice.name)
        stopped = await client.stop(code=made.stream.code)

    assert stopped.stream.id == made.stream.id


@pytest.mark.parametrize("kind", ["create", "stop", "get"])
async def test_who_does_not_say_who_it_is_may_do_nothing(alice: Sender, kind: str) -> None:
    stream = await streaming(alice)
    names = [{"device_id": alice.name}]
    names += [] if kind == "create" else [{"stream_id": stream["id"]}, {"code": stream["code"]}]

    for name in names:
        answer = await ask(alice, kind, properties={"user_id": None}, **name)

        assert is_forbidden(answer)
        assert "user_id" in answer["detail"]


async def test_the_broker_lets_nobody_say_that_it_is_somebody_else(place: Place) -> None:
    async with Sender(place.broker, place.namespace, place.people.ben) as ben:
        with pytest.raises(ChannelClosed, match="user_id"):
            await ben.tell(b"{}", type="stream.create", user_id=place.people.alice.name)


async def test_the_broker_lets_nobody_publish_under_anothers_routing_key(place: Place) -> None:
    async with Sender(place.broker, place.namespace, place.people.ben) as ben:
        with pytest.raises(ChannelClosed, match="ACCESS_REFUSED"):
            await ben.tell(b"{}", type="stream.create", routing_key=place.people.alice.name)


async def test_a_way_round_the_routing_keys_is_closed(alice: Sender, ben: Sender, boss: Sender) -> None:
    """This broker lets a CC header past the topic permissions; without it each would be allowed to ask."""
    detour = {"headers": {"CC": [alice.name]}}

    for sender in (ben, boss):
        for kind in ("create", "get"):
            answer = await ask(sender, kind, properties=detour, device_id=sender.name)

            assert is_forbidden(answer)
            assert "CC" in answer["detail"]
        assert not is_forbidden(await ask(sender, "get", device_id=sender.name))


async def test_with_anothers_message_id_one_gets_an_answer_of_ones_own(alice: Sender, ben: Sender) -> None:
    same = {"message_id": uuid.uuid4().hex}
    first = await ask(alice, "create", properties=same, device_id=alice.name)
    code = first["stream"]["code"]

    assert is_forbidden(await ask(ben, "create", properties=same, device_id=alice.name))
    own = await ask(ben, "create", properties=same, device_id=ben.name)

    assert own["stream"]["device_id"] == ben.name
    assert code not in json.dumps(own)
    assert await ask(alice, "create", properties=same, device_id=alice.name) == first
    assert await ask(ben, "create", properties=same, device_id=ben.name) == own


async def test_what_was_forbidden_once_is_not_remembered(alice: Sender) -> None:
    same = {"message_id": uuid.uuid4().hex}
    stream = await streaming(alice)

    assert is_forbidden(await ask(alice, "get", properties=same | {"user_id": None}, stream_id=stream["id"]))
    assert (await ask(alice, "get", properties=same, stream_id=stream["id"]))["stream"] == stream


async def test_a_command_from_before_all_memory_is_expired_and_not_carried_out(alice: Sender) -> None:
    now = datetime.now(UTC)
    before = await ask(alice, "stop", device_id=alice.name)

    answer = await ask(alice, "create", properties={"timestamp": now - timedelta(days=30)}, device_id=alice.name)

    assert (answer["code"], answer["status"], answer["retryable"]) == ("expired", 410, False)
    assert (await ask(alice, "stop", device_id=alice.name)).get("stream") == before.get("stream")
    for sent_at in (now, now - timedelta(hours=1), now + timedelta(days=30)):
        created = await ask(alice, "create", properties={"timestamp": sent_at}, device_id=alice.name)
        assert created["outcome"] in {"created", "reused"}


async def test_what_is_forbidden_without_being_asked_is_counted_and_no_dead_letter(
    place: Place, ben: Sender
) -> None:
    forbidden = json.dumps({"device_id": place.people.alice.name, "n": uuid.uuid4().hex}).encode()
    expired = json.dumps({"device_id": ben.name, "n": uuid.uuid4().hex}).encode()
    malformed = uuid.uuid4().hex.encode()

    await ben.tell(forbidden, type="stream.create")
    await ben.tell(expired, type="stream.create", timestamp=datetime(2020, 1, 1, tzinfo=UTC))
    await ben.tell(malformed, type="stream.create")  # a mark: when it is there, the others would be too
    async with Undertaker(place.broker.url, place.namespace) as undertaker:
        letter = await undertaker.find(malformed)
        letters = [letter.body for letter in await undertaker.all()]

    assert letter.headers["x-streams-user-id"] == ben.name
    assert forbidden not in letters
    assert expired not in letters
    logged = [line for line in place.worker.log.splitlines() if "command.refused_unasked" in line]
    assert any("forbidden" in line for line in logged)
    assert any("expired" in line for line in logged)


async def test_who_floods_is_told_to_wait_and_nobody_else_is(
    broker: PrivateBroker, people: People, tmp_path: Path
) -> None:
    namespace = people.namespaces["rated"]
    database_url = f"sqlite+aiosqlite:///{tmp_path}/streams.db"
    rate = {"STREAMS_SENDER_RATE": str(RATE_A_S), "STREAMS_SENDER_BURST": str(BURST)}
    same = {"message_id": uuid.uuid4().hex}
    async with (
        worker_for(broker, people, namespace, database_url, **rate),
        Sender(broker, namespace, people.alice) as alice,
        Sender(broker, namespace, people.ben) as ben,
    ):
        flood = [ask(alice, "get", device_id=alice.name) for _ in range(20 * BURST)]
        calm = [ask(ben, "get", device_id=ben.name) for _ in range(BURST)]
        answers = await asyncio.gather(*flood, *calm)
        of_alice, of_ben = answers[: len(flood)], answers[len(flood) :]
        refused = [answer for answer in of_alice if answer["code"] == "too_many_requests"]

        assert {answer["code"] for answer in of_ben} == {"not_found"}
        assert {answer["code"] for answer in of_alice} == {"not_found", "too_many_requests"}
        assert len(refused) > len(flood) // 2
        assert all((answer["status"], answer["retryable"]) == (429, True) for answer in refused)
        assert all(0 < answer["retry_after_s"] <= 1 / RATE_A_S for answer in refused)

        async def created() -> bool:
            return (await ask(alice, "create", properties=same, device_id=alice.name)).get("outcome") == "created"

        assert await eventually(created), "a command that was told to wait is not remembered as refused"
