"""What the devices of `examples/` do when no reply comes, in every language; all at once, since they wait."""

import asyncio
import uuid
from collections import Counter, defaultdict

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from schemas import StreamReply
from tests.support.command_line import Ended
from tests.support.examples import LANGUAGES, run_example
from tests.support.fake_worker import FakeWorker, a_reply

NO_ANSWER = 75
NOBODY = "amqp://guest:guest@127.0.0.1:1/"

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("namespace", ["streams"], indirect=True)]


async def run_all(url: str, message_ids: dict[str, str]) -> dict[str, Ended]:
    """Run each language's device, which is named like its language."""
    ran = (run_example(language.device, name, message_ids[name], url=url) for name, language in LANGUAGES.items())
    return dict(zip(LANGUAGES, await asyncio.gather(*ran), strict=True))


@pytest.fixture
def message_ids() -> dict[str, str]:
    return {name: str(uuid.uuid4()) for name in LANGUAGES}


def asked(worker: FakeWorker) -> dict[str, list[AbstractIncomingMessage]]:
    """What each device has asked."""
    commands: dict[str, list[AbstractIncomingMessage]] = defaultdict(list)
    while not worker.received.empty():
        command = worker.received.get_nowait()
        commands[command.message_id or ""].append(command)
    return commands


def gave_up(ended: Ended, message_id: str) -> bool:
    last_line = ended.err.splitlines()[-1]
    return (
        ended.code == NO_ANSWER
        and ended.out == ""
        and last_line.startswith("no answer")
        and last_line.endswith(f"; run it again with the message id {message_id}")
    )


def connections_of(broker: PrivateBroker) -> int:
    return len(broker.ctl("-q", "list_connections", "--no-table-headers", "pid").splitlines())


async def test_without_a_worker_or_a_broker_they_ask_again_and_then_say_so(
    broker: PrivateBroker, worker: FakeWorker, message_ids: dict[str, str]
) -> None:
    tries: Counter[str] = Counter()
    counted: list[asyncio.Task[int]] = []

    async def count(command: AbstractIncomingMessage, _number: int) -> None:
        tries[command.message_id or ""] += 1
        if tries[command.message_id or ""] == len(("first", "second")):
            counted.append(asyncio.create_task(asyncio.to_thread(connections_of, broker)))

    worker.answer = count
    ours = await asyncio.to_thread(connections_of, broker)

    unanswered, alone = await asyncio.gather(run_all(broker.url, message_ids), run_all(NOBODY, message_ids))

    commands = asked(worker)
    for name, message_id in message_ids.items():
        assert gave_up(alone[name], message_id), (name, alone[name])
        assert gave_up(unanswered[name], message_id), (name, unanswered[name])
        assert "is a worker running?" in unanswered[name].err
        assert len(commands[message_id]) > 1, name
    assert commands.keys() == set(message_ids.values())
    assert max(await asyncio.gather(*counted)) <= ours + len(LANGUAGES), (
        "a try that got no reply has left its connection open"
    )


async def test_a_reply_to_the_second_try_is_as_good(
    broker: PrivateBroker, worker: FakeWorker, message_ids: dict[str, str]
) -> None:
    tries: Counter[str] = Counter()

    async def on_the_second_try(command: AbstractIncomingMessage, _number: int) -> StreamReply | None:
        tries[command.message_id or ""] += 1
        is_stop = command.type == "stream.stop"
        name = command.routing_key or ""
        return a_reply(name) if is_stop or tries[command.message_id or ""] > 1 else None

    worker.answer = on_the_second_try

    ended = await run_all(broker.url, message_ids)

    commands = asked(worker)
    for name, message_id in message_ids.items():
        assert (ended[name].code, ended[name].err) == (0, ""), name
        assert len(commands[message_id]) > 1, name
        bodies = {command.body for command in commands[message_id]}
        assert len(bodies) == 1


async def test_commands_are_sent_as_the_protocol_asks(
    broker: PrivateBroker, worker: FakeWorker, message_ids: dict[str, str]
) -> None:
    ended = await run_all(broker.url, message_ids)

    assert [one.code for one in ended.values()] == [0] * len(LANGUAGES)
    while not worker.received.empty():
        command = worker.received.get_nowait()
        assert command.exchange == "streams.commands"
        assert command.type in {"stream.create", "stream.stop"}
        assert uuid.UUID(command.message_id)
        assert command.user_id == "guest"
        assert command.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
        assert command.content_type == "application/json"
        assert command.type == "stream.stop" or command.routing_key in LANGUAGES
