"""Replies that the broker refused: said again for a while, while everything else goes on."""

from collections.abc import Sequence

import pytest

from tests.support.cursed_store import CursedStore
from tests.support.failing_store import FailingStore
from tests.support.fake_broker import Acknowledged, Fate, Widened
from tests.support.making import Tag, a_reply, create, received
from tests.support.running import running, wide
from tests.support.worker_in_memory import WorkerInMemory
from worker.service.messages import Outgoing, Reply, Said, StoredEvent
from worker.service.process import Flow
from worker.service.unheard import HELD_EACH_MAX, REMEMBERED_MAX, REMEMBERED_S, Unheard

PAUSES_S = (1.0, 10.0)
HELD_MAX = 16


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Patience:
    """An unheard whose replies are always refused."""

    def __init__(self, *, held_max: int = HELD_MAX) -> None:
        self.clock = Clock()
        self.unheard = Unheard(pauses_s=PAUSES_S, held_max=held_max, clock=self.clock)

    def said_after(self, seconds: float, said: Said | None = None) -> Sequence[Reply]:
        self.clock.now_s += seconds
        return self.unheard.with_what_is_due(said or Said()).replies

    def has_refused_all(self, reply: Reply) -> bool:
        """Have it refused as often as it is tried."""
        assert self.unheard.takes(reply)
        for pause_s in PAUSES_S[:-1]:
            assert self.said_after(pause_s) == [reply]
            assert self.unheard.takes(reply)
        assert self.said_after(PAUSES_S[-1]) == [reply]
        return not self.unheard.takes(reply)


def test_nothing_is_due_where_nothing_was_refused() -> None:
    patience, said = Patience(), Said(deliveries=[Tag(tag=1)])

    assert patience.unheard.next_in_s is None
    same = patience.unheard.with_what_is_due(said)
    assert (list(same.replies), list(same.deliveries)) == ([], [Tag(tag=1)])


def test_a_refused_reply_is_said_after_its_pause_with_its_delivery_and_before_what_is_new() -> None:
    patience, first, new = Patience(), a_reply("anna"), a_reply("ben")

    assert patience.unheard.takes(first)
    assert patience.unheard.next_in_s == PAUSES_S[0]
    assert patience.said_after(PAUSES_S[0] - 0.1) == []

    patience.clock.now_s += 0.2
    assert patience.unheard.next_in_s == 0
    said = patience.unheard.with_what_is_due(Said(replies=[new], deliveries=[new.delivery]))
    assert (said.replies, said.deliveries) == ([first, new], [first.delivery, new.delivery])
    assert patience.unheard.next_in_s is None


def test_a_reply_that_is_refused_every_time_is_done_after_its_last_pause() -> None:
    patience = Patience()

    assert patience.has_refused_all(a_reply("anna"))
    assert patience.said_after(1_000) == []


def test_an_address_that_refused_everything_has_no_more_patience_for_a_while() -> None:
    patience = Patience()
    assert patience.has_refused_all(a_reply("anna"))

    assert not patience.unheard.takes(a_reply("anna", tag=2))
    assert patience.unheard.takes(a_reply("ben", tag=3))
    patience.clock.now_s += REMEMBERED_S
    assert patience.unheard.takes(a_reply("anna", tag=4))


def test_only_so_many_are_held() -> None:
    patience = Patience()

    assert all(patience.unheard.takes(a_reply(f"asker-{number}")) for number in range(HELD_MAX))
    assert not patience.unheard.takes(a_reply("one more"))


@pytest.mark.parametrize(
    ("held_max", "each_max"), [(1, 1), (8, 4), (2 * HELD_EACH_MAX, HELD_EACH_MAX), (1_000, HELD_EACH_MAX)]
)
def test_of_one_address_only_a_few_are_held(held_max: int, each_max: int) -> None:
    patience = Patience(held_max=held_max)

    taken = [patience.unheard.takes(a_reply("anna", tag=number)) for number in range(each_max + 1)]
    assert taken == [True] * each_max + [False]
    assert patience.unheard.takes(a_reply("ben", tag=99)) == (held_max > each_max)


def test_only_so_many_addresses_are_remembered() -> None:
    patience = Patience()
    for number in range(REMEMBERED_MAX + 1):
        patience.unheard._give_up(f"amq.gen-{number}")

    assert patience.unheard.takes(a_reply("0"))
    assert not patience.unheard.takes(a_reply("1"))


async def test_a_refused_reply_is_said_again_and_acknowledged_when_it_is_taken(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    fates = iter([Fate.REFUSED, Fate.REFUSED])

    def fate(message: Outgoing) -> Fate:
        return next(fates, Fate.CONFIRMED) if isinstance(message, Reply) else Fate.CONFIRMED

    worker.broker.fate = fate
    command = received(create())
    worker.broker.send(command)

    assert await worker.work_off() == 1

    assert len(worker.broker.published(Reply)) == 3
    assert worker.broker.journal[-1] == Acknowledged(message=command)


@pytest.mark.parametrize(("fate", "times"), [(Fate.REFUSED, 3), (Fate.GIVEN_UP, 1)])
async def test_a_reply_that_is_never_taken_is_done_at_last_for_asking_again_gets_it(
    store: FailingStore, fate: Fate, times: int
) -> None:
    worker = WorkerInMemory(store=store)
    worker.broker.fate = lambda message: fate if isinstance(message, Reply) else Fate.CONFIRMED
    command = received(create())
    worker.broker.send(command)

    assert await worker.work_off() == 1

    assert len(worker.broker.published(Reply)) == times
    assert worker.broker.acknowledged == [command]


async def test_nobody_waits_for_a_reply_that_is_to_be_said_again(store: FailingStore) -> None:
    worker = wide(WorkerInMemory(store=store, flow=Flow(idle_s=0.005, reply_pauses_s=(60.0,))))
    unlucky, *others = (received(create(f"cam-{number}"), message_id=f"m-{number}") for number in range(3))

    def fate(message: Outgoing) -> Fate:
        is_unlucky = isinstance(message, Reply) and message.to.correlation_id == "m-0"
        return Fate.REFUSED if is_unlucky else Fate.CONFIRMED

    worker.broker.fate = fate
    async with running(worker) as epoch:
        await epoch.until(lambda: Widened() in worker.broker.journal)
        worker.broker.send(unlucky, *others)
        await epoch.until(lambda: len(worker.broker.acknowledged) > len(others))
        await epoch.stop()  # which does not wait for it either

    assert worker.broker.acknowledged[1:] == others
    assert not worker.broker.is_settled


async def test_an_internal_whose_reply_and_letter_are_refused_goes_to_the_broker_once(store: FailingStore) -> None:
    worker = WorkerInMemory(store=CursedStore(store, cursed=1_000))
    worker.broker.fate = lambda message: Fate.CONFIRMED if isinstance(message, StoredEvent) else Fate.REFUSED
    worker.broker.send(received(create("cursed")))

    assert await worker.work_off() == 1

    assert len(worker.broker.given_back) == 1
    assert worker.broker.acknowledged == []


async def test_while_the_inbox_is_narrow_nobody_waits_behind_a_refused_reply(store: FailingStore) -> None:
    """What a new process finds redelivered keeps it narrow: a held reply would have the only place."""
    worker = WorkerInMemory(store=store, flow=Flow(idle_s=0.005, reply_pauses_s=(60.0,)))
    worker.broker.fate = lambda message: Fate.REFUSED if isinstance(message, Reply) else Fate.CONFIRMED
    commands = [received(create(f"cam-{number}")) for number in range(3)]
    worker.broker.send(*commands)
    dead = worker.broker.open()
    await dead.start()
    await dead.widen()
    dead.end()

    assert await worker.work_off() == 1

    assert worker.broker.acknowledged == commands


async def test_with_little_in_hand_nothing_is_held(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store, flow=Flow(idle_s=0.005, reply_pauses_s=(60.0,), held_max=0))
    worker.broker.fate = lambda message: Fate.REFUSED if isinstance(message, Reply) else Fate.CONFIRMED
    command = received(create())
    worker.broker.send(command)

    assert await worker.work_off() == 1

    assert worker.broker.acknowledged == [command]


async def test_a_reply_whose_letter_is_kept_is_not_said_again(store: FailingStore) -> None:
    """The command would come again after a stop, and be carried out beside its letter."""
    worker = WorkerInMemory(store=CursedStore(store, cursed=1_000))
    worker.broker.fate = lambda message: Fate.REFUSED if isinstance(message, Reply) else Fate.CONFIRMED
    command = received(create("cursed"))
    worker.broker.send(command)

    assert await worker.work_off() == 1

    assert worker.broker.acknowledged == [command]
    assert len(worker.broker.published(Reply)) == 1
