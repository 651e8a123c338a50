"""A device's events first appear in the order of their sequence, whoever publishes them and however many do.

The store's part of that promise: whoever asks, a batch or a relay, is given a device's lowest unpublished events
without a gap, or none. Here workers do nothing to keep the order but to begin with the first they are given.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from tests.support.fakes_store import FakeStore
from tests.support.store_suite import AT, an_event
from tests.support.stores import memory_store
from worker.domain.roster import Device
from worker.service.messages import StoredEvent
from worker.service.ports import Store, Transaction
from worker.service.stored import UNPUBLISHED_MAX, Changes, Claim, Parking, Wanted

DEVICES = ("cam-1", "cam-2", "cam-3")
STEPS = 150
A_YEAR = timedelta(days=365)


@dataclass(kw_only=True)
class Broker:
    """Takes events or refuses them, as chance will have it, and remembers what it took."""

    chance: random.Random
    taken: list[StoredEvent] = field(default_factory=list)
    takes: float = 0.7  # of 1

    def take(self, event: StoredEvent) -> bool:
        is_taken = self.chance.random() < self.takes
        if is_taken:
            self.taken.append(event)
        return is_taken

    def first_appearances(self, device_id: str) -> list[int]:
        return list(dict.fromkeys(event.sequence for event in self.taken if event.device_id == device_id))


@dataclass(kw_only=True)
class Worker:
    """Has one list to publish for each device, in order; a refusal ends the list. It marks later, or never."""

    name: str
    store: Store
    broker: Broker
    clock_is_off: timedelta
    in_hand: dict[str, list[StoredEvent]] = field(default_factory=dict)
    confirmed: list[StoredEvent] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)

    async def batch(self, device_id: str) -> None:
        """Save an event of the device, and take in hand what of it may be published."""

        async def work(transaction: Transaction) -> list[StoredEvent]:
            loaded = await transaction.load(Wanted(creating=frozenset({device_id})))
            (device,) = loaded.devices
            event = an_event(device_id, device.sequence + 1, at=AT)
            moved = Device(id=device_id, sequence=event.sequence)
            marks = [confirmed.id for confirmed in self.confirmed]
            await transaction.save(Changes(at=AT, devices=[moved], events=[event], published=marks))
            assert len(loaded.unpublished) <= UNPUBLISHED_MAX
            left = [] if device_id in loaded.parked else list(loaded.unpublished)
            return left if device_id in loaded.cut | loaded.parked else [*left, event]

        self._take_in_hand(await self.store.transact(work))

    async def sweep(self, after: str, limit: int) -> None:
        now = AT + A_YEAR + self.clock_is_off

        async def work(transaction: Transaction) -> list[StoredEvent]:
            await transaction.refused(self.refused, Parking(at=now, after=3, retry_at=now + timedelta(minutes=5)))
            await transaction.save(Changes(at=AT, published=[event.id for event in self.confirmed]))
            until = now + timedelta(minutes=1)
            claim = Claim(worker=self.name, now=now, until=until, before=now, limit=limit, after=after)
            return list(await transaction.claim(claim))

        self._take_in_hand(await self.store.transact(work))
        self.refused = {}

    def _take_in_hand(self, events: list[StoredEvent]) -> None:
        known = {event.id for event in self.confirmed}
        self.confirmed = []
        for device_id in {event.device_id for event in events} - {d for d, left in self.in_hand.items() if left}:
            self.in_hand[device_id] = [e for e in events if e.device_id == device_id and e.id not in known]

    def publish(self, device_id: str) -> None:
        """Publish the next event that is in hand for the device."""
        if not (left := self.in_hand.get(device_id)):
            return
        event = left.pop(0)
        if self.broker.take(event):
            self.confirmed.append(event)
        else:
            self.refused[device_id] = event.sequence
            left.clear()

    def crash(self) -> None:
        """Forget everything."""
        self.in_hand, self.confirmed, self.refused = {}, [], {}


@pytest.fixture(params=["memory", "fake"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "fake":
        yield FakeStore()
        return
    async with memory_store() as store:
        yield store


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("clock_is_off", [timedelta(0), timedelta(hours=1)], ids=["clocks agree", "an hour apart"])
async def test_batches_and_relays_of_several_workers_keep_each_devices_order(
    store: Store, seed: int, clock_is_off: timedelta
) -> None:
    chance = random.Random(seed)
    broker = Broker(chance=chance)
    workers = [
        Worker(name=name, store=store, broker=broker, clock_is_off=off)
        for name, off in (("a", timedelta(0)), ("b", clock_is_off), ("c", -clock_is_off))
    ]
    for _ in range(STEPS):
        worker, device_id = chance.choice(workers), chance.choice(DEVICES)
        match chance.choices(["batch", "publish", "sweep", "crash"], weights=[25, 60, 14, 1])[0]:
            case "batch":
                await worker.batch(device_id)
            case "sweep":
                await worker.sweep(chance.choice(["", *DEVICES]), chance.choice([2, 5, 100]))
            case "crash":
                worker.crash()
            case _:
                worker.publish(device_id)
    await _heal(workers)
    for device_id in DEVICES:
        seen = broker.first_appearances(device_id)
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) > 3
    assert len(broker.taken) > sum(len(broker.first_appearances(device_id)) for device_id in DEVICES)


async def _heal(workers: list[Worker]) -> None:
    """Have the broker take everything, and the workers that are left publish all that is left."""
    survivor = workers[0]
    survivor.broker.takes = 1.0
    survivor.clock_is_off = A_YEAR
    for _ in range(50):
        await survivor.sweep("", 100)
        if not any(survivor.in_hand.values()):
            break
        for device_id in DEVICES:
            while survivor.in_hand.get(device_id):
                survivor.publish(device_id)
    assert not any(survivor.in_hand.values())
