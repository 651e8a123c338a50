"""Publishing: each message by its own way, and every end at its own place."""

from datetime import UTC, datetime
from uuid import UUID

from tests.support.deliveries import delivery
from tests.support.fake_channel import HANGS, FakeChannel, nack
from tests.support.making import Tag
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.direct_replies import DirectReplies
from worker.amqp.messages import WireFormat
from worker.amqp.publisher import BrokerPublisher
from worker.amqp.topology import topology
from worker.service.messages import Answer, Confirmation, DeadLetter, Outgoing, Reply, ReplyTo, StoredEvent

CONFIRMED, REFUSED, UNKNOWN = Confirmation.CONFIRMED, Confirmation.REFUSED, Confirmation.UNKNOWN
NOW = datetime(2026, 1, 12, tzinfo=UTC)
DIRECT = "amq.rabbitmq.reply-to.AAAA.BBBB"
EVENT = StoredEvent(id=UUID(int=1), device_id="cam-1", sequence=1, type="stream.created", at=NOW, body=b"")


def reply(address: str) -> Reply:
    answer = Answer(type="stream.reply", content_type="application/json", body=b"{}")
    to = ReplyTo(address=address, correlation_id=None)
    return Reply(delivery=Tag(tag=1), to=to, message_id="r", answer=answer)


def letter(routing_key: str, message_id: str = "m") -> DeadLetter:
    return DeadLetter(
        delivery=delivery(routing_key=routing_key, message_id=message_id), reason="malformed", detail=""
    )


async def publish(channel: FakeChannel, direct: FakeChannel, *messages: Outgoing) -> list[Confirmation]:
    async def reopen() -> ConfirmingChannel:
        return direct.confirming()

    replies = DirectReplies(reopen)
    await replies.open()
    wire = WireFormat(topology("streams"), DeadLetters(worker_name="w", clock=lambda: NOW))
    return list(await BrokerPublisher(channel.confirming(timeout_s=0.05), replies, wire).publish(messages))


async def test_each_goes_its_own_way_and_is_reported_at_its_own_place() -> None:
    channel = FakeChannel(fate=lambda key: nack() if key == "amq.gen-full" else None)
    direct = FakeChannel()

    ends = await publish(
        channel, direct, letter("k"), reply(DIRECT), EVENT, reply("amq.gen-full"), reply("amq.gen-a")
    )

    assert ends == [CONFIRMED, CONFIRMED, CONFIRMED, REFUSED, CONFIRMED]
    assert direct.sent == [DIRECT]
    assert channel.sent == ["amq.gen-full", "amq.gen-a", "stream.created.cam-1", "k"]


async def test_nothing_to_publish_is_nothing_to_report() -> None:
    assert await publish(FakeChannel(), FakeChannel()) == []


async def test_letters_go_one_at_a_time_and_with_nothing_else_in_flight() -> None:
    """They keep ids that strangers gave them, and aiormq tells what was returned by its message id."""
    channel = FakeChannel()

    await publish(channel, FakeChannel(), *(letter(f"k{number}") for number in range(5)))

    assert channel.in_flight_most == 1


async def test_a_letter_that_comes_back_is_refused() -> None:
    channel = FakeChannel(fate=lambda key: nack() if key == "k1" else None)

    ends = await publish(channel, FakeChannel(), letter("k0"), letter("k1"), letter("k2"))

    assert ends == [CONFIRMED, REFUSED, CONFIRMED]


async def test_after_a_letter_that_is_unknown_the_others_are_unknown_and_unsent() -> None:
    channel = FakeChannel(fate=lambda key: HANGS if key == "k1" else None)

    ends = await publish(channel, FakeChannel(), letter("k0"), letter("k1"), letter("k2"), letter("k3"))

    assert ends == [CONFIRMED, UNKNOWN, UNKNOWN, UNKNOWN]
    assert channel.sent == ["k0", "k1"]
