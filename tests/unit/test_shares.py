"""Shares: who has more partitions than its share passes them on, and nobody overtakes."""

from tests.support.broker_side import deliveries
from tests.support.deliveries import delivered
from tests.support.making import Tag
from tests.support.quiet_channel import QuietChannel
from worker.amqp.consumer import Consumer
from worker.amqp.delivery import DELIVERY_COUNT, AmqpDelivery
from worker.amqp.hand import Hand
from worker.amqp.settlement import ChannelSettlement
from worker.amqp.shares import Shares
from worker.amqp.source import Source
from worker.service.messages import DeadLetter, Incoming, Unreadable

PREFETCH = 3


def decode(delivery: AmqpDelivery) -> Incoming:
    return Unreadable(delivery=delivery, reason="", detail="")


class Worker:
    """A worker's consumer of one queue and of two partitions, with nobody behind it."""

    def __init__(self) -> None:
        self.channel = QuietChannel()
        self.hand = Hand()
        channel = self.channel.as_channel()
        self.sources = [
            Source(channel, queue, prefetch=PREFETCH, is_partition=queue != "plain", timeout_s=1)
            for queue in ("plain", "one", "two")
        ]
        self.consumer = Consumer(channel, sources=self.sources, hand=self.hand, decode=decode)
        self.shares = Shares(
            ChannelSettlement(channel, hand=self.hand, timeout_s=1), self.consumer, hand=self.hand
        )

    def arrive(self, queue: str, count: int = 1, *, device: str = "cam-1", came_back: int = 0) -> list[Tag]:
        (source,) = [source for source in self.sources if source.queue == queue]
        tags = [Tag(tag=self.hand.arrived + number) for number in range(1, count + 1)]
        came = {"routing_key": device, "redelivered": bool(came_back), "headers": {DELIVERY_COUNT: came_back}}
        for tag in tags:
            self.channel.consumers[source.tag or ""](delivered(tag=tag.tag, **came))
        return tags

    def called(self) -> list[str]:
        """What was asked of the channel since the last time."""
        calls, self.channel.calls = self.channel.calls, []
        return calls


async def both_are_ours() -> Worker:
    worker = Worker()
    await worker.consumer.start()
    await worker.shares.acknowledge([*worker.arrive("one"), *worker.arrive("two")])
    worker.called()
    return worker


async def test_alone_it_keeps_all() -> None:
    worker = await both_are_ours()

    await worker.shares.share(1)
    await worker.shares.acknowledge([*worker.arrive("one", PREFETCH), *worker.arrive("two", PREFETCH)])

    assert worker.called() == ["ack 8 multiple"]


async def test_of_two_it_passes_one_on_when_all_of_it_is_saved_and_none_can_be_on_its_way() -> None:
    worker = await both_are_ours()

    await worker.shares.share(2)
    one, two = worker.arrive("one", PREFETCH), worker.arrive("two", PREFETCH)
    await worker.shares.acknowledge([*one[:2], *two[:2]])
    before = worker.called()
    await worker.shares.acknowledge([*one[2:], *two[2:]])
    after = worker.called()

    assert not any("cancel" in call for call in before), "one is in hand that is not saved"
    (cancelled,) = [call for call in after if call.startswith("cancel")]
    queue = cancelled.split()[1].partition("-")[0]
    mine = after[after.index(cancelled) :]
    assert mine[:3] == [cancelled, f"prefetch {PREFETCH}", f"consume {queue}"]
    assert any(call.startswith("ack") for call in mine[3:]), "what was kept back is acknowledged after that"
    assert worker.hand.unsettled == 0
    assert [source.is_ours for source in worker.sources if source.queue == queue] == [False]


async def test_one_whose_prefetch_is_not_used_up_is_kept_and_acknowledged_at_the_next_look() -> None:
    worker = await both_are_ours()

    await worker.shares.share(2)
    await worker.shares.acknowledge([*worker.arrive("one", 2), *worker.arrive("two", 2)])
    assert worker.hand.unsettled == 2
    await worker.shares.keep()

    assert worker.hand.unsettled == 0
    assert not any("cancel" in call for call in worker.called())


async def test_one_that_has_sent_us_nothing_is_not_ours_to_pass_on() -> None:
    worker = Worker()
    await worker.consumer.start()
    await worker.shares.acknowledge(worker.arrive("one"))
    worker.called()

    await worker.shares.share(2)
    await worker.shares.acknowledge(worker.arrive("one", PREFETCH))

    assert worker.called() == ["ack 4 multiple"]


async def test_while_some_go_alone_nothing_is_kept_back_for_which_they_would_wait() -> None:
    worker = await both_are_ours()
    for device in "abc":
        worker.arrive("one", device=device, came_back=3)
        worker.arrive("two", device=device, came_back=3)
    await worker.consumer.take(2)

    await worker.shares.share(2)
    for _ in range(6):
        await worker.shares.acknowledge(deliveries(await worker.consumer.take(10, within_s=1)))

    assert worker.hand.unsettled == 0


async def test_what_was_kept_back_before_holds_up_none_that_goes_alone() -> None:
    worker = await both_are_ours()
    await worker.shares.share(2)
    await worker.shares.acknowledge([*worker.arrive("one"), *worker.arrive("two")])
    await worker.consumer.take(10)
    worker.arrive("one", came_back=3)
    worker.arrive("two", device="cam-2", came_back=3)
    assert worker.hand.unsettled == 3

    for _ in range(2):
        await worker.shares.acknowledge(deliveries(await worker.consumer.take(10, within_s=1)))

    assert worker.hand.unsettled <= 1


async def test_while_some_go_alone_it_is_not_wide_and_no_reply_may_keep_them_waiting() -> None:
    worker = await both_are_ours()
    assert await worker.consumer.widen()
    worker.arrive("one", came_back=3)
    worker.arrive("one", came_back=1)
    await worker.consumer.take(10)

    first = await worker.consumer.take(10)
    before_the_last = await worker.consumer.widen()
    worker.hand.settle(one.tag for one in deliveries(first))
    assert len(await worker.consumer.take(10)) == 1

    assert (before_the_last, await worker.consumer.widen()) == (False, True)


async def test_in_a_pause_nothing_is_passed_on() -> None:
    worker = await both_are_ours()
    await worker.shares.share(2)
    arrived = [*worker.arrive("one", PREFETCH), *worker.arrive("two", PREFETCH)]

    await worker.consumer.pause()
    worker.called()
    await worker.shares.acknowledge(arrived)

    assert worker.hand.unsettled == 0
    assert not any("cancel" in call for call in worker.called())


async def test_a_pause_and_a_stop_cancel_no_partition() -> None:
    worker = await both_are_ours()

    await worker.consumer.pause()
    await worker.consumer.resume()
    await worker.consumer.close()

    assert [call for call in worker.called() if call.startswith("cancel")] == ["cancel plain-1", "cancel plain-4"]


async def test_what_arrives_after_the_stop_is_neither_taken_nor_counted() -> None:
    worker = await both_are_ours()
    await worker.consumer.take(10)
    worker.arrive("one", 2)
    await worker.consumer.close()

    worker.arrive("one")

    assert len(await worker.consumer.take(10)) == 2
    assert worker.hand.unsettled == 2


async def test_what_is_given_to_the_broker_is_settled() -> None:
    worker = await both_are_ours()
    (delivery,) = worker.arrive("one")
    await worker.shares.give_to_broker([DeadLetter(delivery=delivery, reason="", detail="")])

    assert worker.called() == [f"reject {delivery.tag}"]
    assert worker.hand.unsettled == 0
