"""A command that alone makes its batch fail: it is found, the others never notice."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.cursed_store import CursedStore
from tests.support.failing_store import FailingStore
from tests.support.fake_broker import Paused, Resumed
from tests.support.making import content_of, create, get, received, refused, stop, told, unreadable
from tests.support.worker_in_memory import WorkerInMemory
from worker.service.isolating import Isolating
from worker.service.messages import DeadLetter, Reply, Said, StoredEvent
from worker.service.ports import EpochOver, StoreConflict, StoreUnavailable

FOR_EVER = 1_000


def isolating(store: CursedStore | FailingStore, *, hold_s: float = 5) -> Isolating:
    return WorkerInMemory(store=store, hold_s=hold_s).isolating()


def words(saids: Sequence[Said]) -> list[str]:
    return [told(reply.answer) for said in saids for reply in said.replies]


def tags(saids: Sequence[Said]) -> list[int]:
    return [delivery.tag for said in saids for delivery in said.deliveries]


async def test_a_sound_batch_is_one_transaction(store: FailingStore) -> None:
    saids = await isolating(store).carry_out([received(create(f"cam-{number}")) for number in range(9)])

    assert words(saids) == ["created"] * 9
    assert len(saids) == store.transactions == 1


@pytest.mark.parametrize("place", range(8))
async def test_the_others_are_answered_at_once_and_in_order_wherever_the_guilty_one_stands(
    store: FailingStore, place: int
) -> None:
    cursed = CursedStore(store, cursed=FOR_EVER)
    commands = [received(create(f"cam-{number}")) for number in range(7)]
    commands.insert(place, received(create("cursed")))

    saids = await isolating(cursed).carry_out(commands)

    assert words(saids) == ["created"] * 7
    assert tags(saids) == [command.delivery.tag for command in commands if command is not commands[place]]


async def test_finding_one_in_many_takes_few_transactions(store: FailingStore) -> None:
    cursed = CursedStore(store, cursed=FOR_EVER)
    commands = [received(create(f"cam-{number}")) for number in range(255)]

    await isolating(cursed).carry_out([*commands, received(create("cursed"))])

    assert len(cursed.loads) == 1 + 2 * 8


async def test_a_command_that_fails_again_and_again_is_answered_and_kept(
    store: FailingStore, caplog: pytest.LogCaptureFixture
) -> None:
    cursed = CursedStore(store, cursed=FOR_EVER)
    guilty = received(create("cursed"), message_id="m-1")
    isolated = isolating(cursed)

    assert await isolated.carry_out([guilty]) == []
    (said,) = await isolated.finish()

    (reply,) = said.replies
    assert (told(reply.answer), reply.to) == ("internal", guilty.reply_to)
    assert content_of(reply.answer)["retryable"] is True
    assert said.letters == [
        DeadLetter(delivery=guilty.delivery, reason="internal", detail="It failed 3 times on its own: Cursed.")
    ]
    assert said.deliveries == [guilty.delivery]
    assert len(cursed.loads) == 3
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == ["command.given_up"]


async def test_one_that_nobody_asked_for_is_kept_all_the_same(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, cursed=FOR_EVER))
    await isolated.carry_out([received(create("cursed"), reply_to=None)])

    (said,) = await isolated.finish()

    assert said.replies == []
    assert [letter.reason for letter in said.letters] == ["internal"]


async def test_a_command_that_goes_through_after_all_is_answered_like_any_other(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, cursed=2))

    assert await isolated.carry_out([received(create("cursed"))]) == []

    assert words(await isolated.finish()) == ["created"]


async def test_only_its_devices_later_commands_wait(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, cursed=2))
    first, second, third = received(create("cursed")), received(stop("cursed")), received(get("cursed"))
    other = received(create("cam-1"))

    assert tags(await isolated.carry_out([first, second, other])) == [other.delivery.tag]
    assert tags(await isolated.carry_out([third, received(create("cam-2"))])) == [third.delivery.tag + 2]
    saids = await isolated.finish()

    assert words(saids) == ["created", "stopped", "found"]
    assert tags(saids) == [first.delivery.tag, second.delivery.tag, third.delivery.tag]


async def test_what_waited_behind_one_that_is_given_up_comes_next(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, cursed=4))  # once with its neighbour, then alone
    await isolated.carry_out([received(create("cursed")), received(create("cursed"))])

    assert words(await isolated.finish()) == ["internal", "created"]


async def test_each_guilty_command_is_found(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, one=FOR_EVER, two=FOR_EVER))
    commands = [received(create(name)) for name in ("a", "one", "b", "c", "two", "d")]

    assert words(await isolated.carry_out(commands)) == ["created"] * 4
    assert words(await isolated.finish()) == ["internal", "internal"]


async def test_a_repeat_of_an_internal_failure_is_tried_again(store: FailingStore) -> None:
    cursed = CursedStore(store, cursed=3)
    isolated = isolating(cursed)
    await isolated.carry_out([received(create("cursed"), message_id="m-1")])
    assert words(await isolated.finish()) == ["internal"]

    assert words(await isolated.carry_out([received(create("cursed"), message_id="m-1")])) == ["created"]


async def test_a_conflict_that_never_ends_is_the_commands_own(store: FailingStore) -> None:
    cursed = CursedStore(store, error=StoreConflict("this sequence is taken"), cursed=FOR_EVER)
    isolated = isolating(cursed)

    assert words(await isolated.carry_out([received(create("cam-1")), received(create("cursed"))])) == ["created"]
    assert words(await isolated.finish()) == ["internal"]


async def test_nobody_is_to_blame_while_the_database_takes_no_row_of_ours(store: FailingStore) -> None:
    cursed = CursedStore(store, cursed=4)
    isolated = isolating(cursed)
    await isolated.carry_out([received(create("cursed"))])
    looks: list[int] = []

    async def away_at_first() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise StoreUnavailable("read-only")

    store.meanwhile = away_at_first

    assert words(await isolated.finish()) == ["created"]


async def test_the_end_of_the_epoch_is_nobodys_fault(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, error=EpochOver("gone"), cursed=1))

    with pytest.raises(EpochOver):
        await isolated.carry_out([received(create("cam-1")), received(create("cursed"))])


async def test_what_needs_no_database_never_waits(store: FailingStore) -> None:
    isolated = isolating(CursedStore(store, cursed=FOR_EVER))
    messages = [unreadable(), received(create("cursed")), refused(reply_to="amq.gen-1"), unreadable()]

    saids = await isolated.carry_out(messages)

    assert tags(saids) == [message.delivery.tag for message in messages if message is not messages[1]]


async def test_a_pipeline_goes_on_beside_a_guilty_command_and_settles_each_once(store: FailingStore) -> None:
    worker = WorkerInMemory(store=CursedStore(store, cursed=FOR_EVER))
    commands = [received(create(name)) for name in ("a", "cursed", "b", "cursed", "c")]
    worker.broker.send(*commands)

    assert await worker.work_off() == 1

    arrived = [told(reply.answer) for reply in worker.broker.arrived(Reply)]
    assert sorted(arrived) == ["created", "created", "created", "internal", "internal"]
    assert len(worker.broker.arrived(DeadLetter)) == 2
    assert len(worker.broker.arrived(StoredEvent)) == 3
    assert sorted(command.delivery.tag for command in worker.broker.acknowledged) == sorted(
        command.delivery.tag for command in commands
    )


async def test_stopping_waits_for_what_becomes_of_a_suspect(store: FailingStore) -> None:
    worker = WorkerInMemory(store=CursedStore(store, cursed=FOR_EVER))
    guilty = received(create("cursed"))
    worker.broker.send(guilty)
    stopping = asyncio.Event()

    async def stop_soon() -> None:
        await worker.broker.until(lambda: bool(worker.broker.in_hand))
        stopping.set()

    stopper = asyncio.create_task(stop_soon())
    await worker.run_epoch(stopping)
    await stopper

    assert worker.broker.acknowledged == [guilty]


async def test_after_an_outage_that_a_guilty_command_ended_the_worker_is_not_deaf(store: FailingStore) -> None:
    guilty = CursedStore(store, cursed=FOR_EVER)
    worker = WorkerInMemory(store=CursedStore(guilty, error=StoreUnavailable("away"), cursed=1))
    commands = [received(create(name)) for name in ("cam-0", "cursed", "cam-1")]
    worker.broker.send(*commands)

    await worker.work_off()

    assert worker.broker.journal.count(Paused()) == worker.broker.journal.count(Resumed()) == 1
    assert len(worker.broker.acknowledged) == 3
