"""Several workers on one queue and one database: never two answers, and each device's events in order."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

import pytest

from tests.support.failing_store import FailingStore
from tests.support.fake_broker import FakeBroker, Fate
from tests.support.fakes_store import FakeStore
from tests.support.making import SteadyMint, create, get, received, stop
from tests.support.worker_in_memory import AGES_LATER, Hurry, WorkerInMemory, outbox
from worker.domain.commands import Command
from worker.service.messages import Outgoing, Received, Reply, StoredEvent
from worker.service.outbox import ParkingPolicy
from worker.service.process import Flow
from worker.service.relay import RelayPolicy

WORKERS = 3
COMMANDS = 60
FATES = [Fate.CONFIRMED] * 12 + [Fate.REFUSED] * 4 + [Fate.LOST, Fate.UNSURE]


class World:
    """A world in which everything takes a random time and some of it fails, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.kept = FakeStore()
        self.store = FailingStore(self.kept)
        self.store.meanwhile = self.turns(6)
        self.broker = FakeBroker(prefetch=6)
        self.broker.arriving = self.turns(12)
        self.broker.confirming = self.turns(12)
        self.broker.fate = self.fate
        self.is_calm = False
        mint = SteadyMint()
        self.workers = [
            WorkerInMemory(
                store=self.store,
                broker=self.broker,
                mint=mint,
                flow=Flow(batch_max=4, idle_s=0.001, reply_pauses_s=(0.001, 0.001)),
                policy=RelayPolicy(worker=f"w-{number}", interval_s=0, grace_s=0, limit=3),
                parking=ParkingPolicy(after=2, rest_s=600),
                clock=Hurry(now=AGES_LATER + timedelta(hours=number)),  # they differ, as clocks do
                event_retries=number % 2,
            )
            for number in range(WORKERS)
        ]

    def turns(self, most: int) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            for _ in range(self.random.randrange(most)):
                await asyncio.sleep(0)

        return turn

    def fate(self, _: Outgoing) -> Fate:
        return Fate.CONFIRMED if self.is_calm else self.random.choice(FATES)

    def command(self) -> Command:
        device_id = self.random.choice(["cam-1", "cam-2"])
        verbs: list[Callable[[str], Command]] = [create, create, stop, stop, get]
        return self.random.choice(verbs)(device_id)

    async def work(self) -> None:
        """Let all workers work until every command is settled; then calm down until every event is out."""
        await asyncio.gather(*(worker.work_off() for worker in self.workers))
        self.is_calm = True
        await asyncio.gather(*(worker.work_until(lambda: True) for worker in self.workers))
        while await outbox(self.store):
            await asyncio.gather(*(worker.work_until(self._has_said_more()) for worker in self.workers))

    def _has_said_more(self) -> Callable[[], bool]:
        said = len(self.broker.journal)
        return lambda: len(self.broker.journal) > said


def repeated(commands: list[Received], random: Random) -> list[Received]:
    """Mix a repeat of every third command into the later ones."""
    messages = list(commands)
    for command in commands[::3]:
        messages.insert(random.randrange(messages.index(command) + 1, len(messages) + 1), command)
    return messages


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_the_number_of_workers_answers_agree_and_events_keep_their_order(seed: int) -> None:
    world = World(seed)
    commands = [
        received(world.command(), message_id=f"m-{number}", reply_to=f"amq.gen-{number}")
        for number in range(COMMANDS)
    ]
    world.broker.send(*repeated(commands, world.random))

    await world.work()

    answers = {command.reply_to: set[object]() for command in commands}
    for reply in world.broker.published(Reply):
        answers[reply.to].add(reply.answer)
    assert all(len(different) == 1 for different in answers.values())
    for device in world.kept.tables.devices.values():
        first_seen = dict.fromkeys(
            e.sequence for e in world.broker.arrived(StoredEvent) if e.device_id == device.id
        )
        assert list(first_seen) == list(range(1, device.sequence + 1))
    assert len(world.kept.tables.events) >= COMMANDS // 5
