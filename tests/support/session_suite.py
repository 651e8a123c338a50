"""The one suite that everything between the service and a broker passes, the fake too: inbox, publisher and
settlement of an epoch. A subclass provides the fixture `side`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import pytest

from tests.support.making import an_event
from worker.domain.commands import CreateStream
from worker.service.messages import Confirmation, DeadLetter, Delivery, Incoming, Received
from worker.service.ports import Inbox, InboxClosed, Publisher, Settlement

WITHIN_S = 15
SOON_S = 0.05
PREFETCH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """An epoch's side of a broker, as the service sees it."""

    inbox: Inbox
    publisher: Publisher
    settlement: Settlement


class Side(Protocol):
    """A broker with a command queue of our own. A prefetch of PREFETCH holds once an inbox is widened."""

    def open(self) -> AbstractAsyncContextManager[Ports]:
        """Begin an epoch, and end it."""

    async def send(self, *device_ids: str) -> None:
        """Publish a command to create a stream for each, in order."""

    async def until_delivered(self) -> None:
        """Wait until nothing is queued any more: what was sent is in hand."""


async def take(ports: Ports, count: int) -> list[Incoming]:
    """Take so many, however many come at a time."""
    taken: list[Incoming] = []
    while len(taken) < count:
        some = await ports.inbox.take(count - len(taken), within_s=WITHIN_S)
        assert some, f"only {len(taken)} of {count} came"
        taken += some
    return taken


async def taken_wide(ports: Ports, side: Side, *device_ids: str) -> list[Incoming]:
    """Widen the inbox with a first command, then send and take these."""
    await side.send("first")
    await ports.settlement.acknowledge(deliveries(await take(ports, 1)))
    await ports.inbox.widen()
    await side.send(*device_ids)
    return await take(ports, len(device_ids))


def deliveries(incoming: Sequence[Incoming]) -> list[Delivery]:
    return [message.delivery for message in incoming]


def names(incoming: Sequence[Incoming]) -> list[str]:
    return [
        message.command.device_id
        for message in incoming
        if isinstance(message, Received) and isinstance(message.command, CreateStream)
    ]


class SessionSuite:
    """What `worker.service.ports` promises of Inbox, Publisher and Settlement."""

    async def test_deliveries_come_in_order_with_ascending_tags(self, side: Side) -> None:
        async with side.open() as ports:
            taken = await taken_wide(ports, side, "a", "b", "c")

        assert names(taken) == ["a", "b", "c"]
        assert [delivery.tag for delivery in deliveries(taken)] == [2, 3, 4]

    async def test_no_more_are_taken_than_asked_for(self, side: Side) -> None:
        async with side.open() as ports:
            await taken_wide(ports, side, "a")
            await side.send("b", "c")

            assert names(await ports.inbox.take(1, within_s=WITHIN_S)) == ["b"]
            assert names(await ports.inbox.take(1, within_s=WITHIN_S)) == ["c"]

    async def test_without_a_delivery_nothing_is_taken(self, side: Side) -> None:
        async with side.open() as ports:
            assert await ports.inbox.take(10, within_s=SOON_S) == []

    async def test_who_waits_gets_what_comes(self, side: Side) -> None:
        async with side.open() as ports:
            taking = asyncio.create_task(ports.inbox.take(10))
            await side.send("a")

            assert names(await asyncio.wait_for(taking, WITHIN_S)) == ["a"]

    async def test_until_it_is_widened_one_delivery_is_in_hand_at_a_time(self, side: Side) -> None:
        async with side.open() as ports:
            await side.send("a", "b")
            first = await take(ports, 1)
            assert await ports.inbox.take(10, within_s=SOON_S) == []

            await ports.settlement.acknowledge(deliveries(first))
            assert names(await take(ports, 1)) == ["b"]

    async def test_widened_it_has_no_more_in_hand_than_the_prefetch(self, side: Side) -> None:
        async with side.open() as ports:
            await ports.inbox.widen()
            await ports.inbox.widen()
            device_ids = [f"cam-{number}" for number in range(PREFETCH + 2)]
            await side.send(*device_ids)

            taken = await take(ports, PREFETCH)
            assert await ports.inbox.take(10, within_s=SOON_S) == []
            await ports.settlement.acknowledge(deliveries(taken))
            assert names(taken + await take(ports, 2)) == device_ids

    async def test_closed_it_still_gives_what_is_in_hand_and_nothing_else(self, side: Side) -> None:
        async with side.open() as ports:
            (first,) = await taken_wide(ports, side, "a")
            await side.send("b", "c")
            second = await take(ports, 1)
            await side.until_delivered()
            await ports.inbox.close()
            await ports.inbox.close()
            await side.send("d")

            rest = await take(ports, 1)
            assert names([first, *second, *rest]) == ["a", "b", "c"]
            for _ in range(2):
                with pytest.raises(InboxClosed):
                    await ports.inbox.take(10, within_s=WITHIN_S)
            await ports.settlement.acknowledge(deliveries([first, *second, *rest]))

    async def test_who_waits_hears_that_it_was_closed(self, side: Side) -> None:
        async with side.open() as ports:
            taking = asyncio.create_task(ports.inbox.take(10))
            await asyncio.sleep(0)
            await ports.inbox.close()

            with pytest.raises(InboxClosed):
                await asyncio.wait_for(taking, WITHIN_S)

    async def test_what_is_not_settled_comes_again_in_the_next_epoch(self, side: Side) -> None:
        async with side.open() as ports:
            _, b, _ = await taken_wide(ports, side, "a", "b", "c")
            await ports.settlement.acknowledge([b.delivery])

        async with side.open() as ports:
            await ports.inbox.widen()
            again = await take(ports, 2)
            assert sorted(names(again)) == ["a", "c"]
            await ports.settlement.acknowledge(deliveries(again))

        async with side.open() as ports:
            assert await ports.inbox.take(10, within_s=SOON_S) == []

    async def test_what_is_given_to_the_broker_does_not_come_again(self, side: Side) -> None:
        async with side.open() as ports:
            (a,) = await taken_wide(ports, side, "a")
            letter = DeadLetter(delivery=a.delivery, reason="malformed", detail="it is not JSON")
            await ports.settlement.give_to_broker([letter])
            await ports.settlement.give_to_broker([])
            await ports.settlement.acknowledge([])

        async with side.open() as ports:
            assert await ports.inbox.take(10, within_s=SOON_S) == []

    async def test_each_publish_is_reported(self, side: Side) -> None:
        async with side.open() as ports:
            events = [an_event("cam-1", sequence) for sequence in range(1, 4)]

            assert await ports.publisher.publish(events) == [Confirmation.CONFIRMED] * 3
            assert await ports.publisher.publish([]) == []

    async def test_as_long_as_all_is_well_there_is_nothing_to_watch(self, side: Side) -> None:
        async with side.open() as ports:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ports.inbox.watch(), SOON_S)
