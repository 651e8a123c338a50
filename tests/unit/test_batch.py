"""A batch's first half: loaded, decided and saved."""

from datetime import timedelta

import pytest

from tests.support.failing_store import FailingStore
from tests.support.making import (
    BEGAN,
    SteadyMint,
    a_stream,
    create,
    get,
    received,
    refused,
    stop,
    told,
    unreadable,
)
from tests.support.worker_in_memory import WorkerInMemory, outbox
from worker.domain.code import code_from_bits
from worker.service.handlers import CodesExhausted
from worker.service.messages import DeadLetter, Said
from worker.service.persisting import CONFLICTS_AT_ONCE_MAX
from worker.service.ports import CommitUnknown, StoreConflict, StoreUnavailable


def words(said: Said) -> list[str]:
    return [told(reply.answer) for reply in said.replies]


def sequences(said: Said) -> list[tuple[str, int]]:
    return [(event.device_id, event.sequence) for event in said.events]


async def test_what_is_said_is_saved_before(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    commands = [
        received(create("cam-2")),
        received(create("cam-1")),
        received(stop("cam-2")),
        received(get("cam-9")),
    ]

    said = await batches.carry_out(commands)

    assert words(said) == ["created", "created", "stopped", "not_found"]
    assert sequences(said) == [("cam-1", 1), ("cam-2", 1), ("cam-2", 2)]
    assert said.events == await outbox(store)
    assert said.deliveries == [command.delivery for command in commands]
    assert said.letters == []


async def test_a_batch_is_one_transaction_however_large(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()

    await batches.carry_out([received(create(f"cam-{number}"), message_id=str(number)) for number in range(50)])

    assert store.transactions == 1
    assert store.attempts == 0


async def test_a_command_that_comes_alone_is_one_attempt(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()

    alone = await batches.carry_out([unreadable(), received(create()), refused()])

    assert words(alone)[0] == "created"
    assert store.attempts == 1


async def test_a_reply_goes_where_its_asker_said_with_the_askers_correlation_id(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    first = received(create(), message_id="m-1", reply_to="amq.gen-1")
    repeat = received(create(), message_id="m-1", reply_to="amq.gen-2")

    one = await batches.carry_out([first])
    two = await batches.carry_out([repeat])

    assert [reply.to for reply in (*one.replies, *two.replies)] == [first.reply_to, repeat.reply_to]
    assert one.replies[0].answer == two.replies[0].answer


async def test_the_same_answer_to_the_same_command_has_the_same_message_id(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    keyed, unkeyed = received(get(), message_id="m-1"), received(get())

    ids = [reply.message_id for reply in (await batches.carry_out([keyed, keyed, unkeyed, unkeyed])).replies]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_a_command_that_nobody_asked_an_answer_for_is_carried_out(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()

    said = await batches.carry_out([received(create(), reply_to=None)])

    assert said.replies == []
    assert sequences(said) == [("cam-1", 1)]
    assert len(said.deliveries) == 1


async def test_a_refusal_that_nobody_asked_for_is_logged(
    store: FailingStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    batches = WorkerInMemory(store=store).batches()

    await batches.carry_out([received(get("cam-9"), reply_to=None), received(create(), reply_to=None)])

    (record,) = [record for record in caplog.records if record.message == "command.refused_unasked"]
    assert vars(record)["code"] == "not_found"


async def test_what_the_codec_refused_is_answered_without_asking_the_database(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    message = refused(reply_to="amq.gen-1")

    said = await batches.carry_out([message])

    (reply,) = said.replies
    assert (reply.to, reply.answer) == (message.reply_to, message.answer)
    assert (said.letters, said.deliveries) == ([], [message.delivery])
    assert store.transactions == 0


async def test_a_refusal_that_nobody_hears_is_kept_if_it_is_of_that_kind(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    kept, counted = refused(keep=True), refused(keep=False)

    said = await batches.carry_out([kept, counted])

    assert said.letters == [DeadLetter(delivery=kept.delivery, reason="malformed", detail=kept.detail)]
    assert said.replies == []
    assert said.deliveries == [kept.delivery, counted.delivery]


async def test_an_unreadable_message_is_a_dead_letter(store: FailingStore) -> None:
    message = unreadable()

    said = await WorkerInMemory(store=store).batches().carry_out([message])

    assert said.letters == [
        DeadLetter(delivery=message.delivery, reason=message.reason, detail=message.detail),
    ]
    assert said.deliveries == [message.delivery]


async def test_each_asker_gets_the_answer_to_the_own_command(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()

    said = await batches.carry_out(
        [unreadable(), received(create()), refused(reply_to="amq.gen-2"), refused(), received(stop())]
    )

    assert [told(r.answer) if r.answer.problem is None else r.answer.problem for r in said.replies] == [
        "created",
        "malformed",
        "stopped",
    ]
    assert len(said.letters) == 2
    assert len(said.deliveries) == 5


async def test_a_conflict_begins_the_batch_again_from_the_beginning(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    for _ in range(CONFLICTS_AT_ONCE_MAX):
        store.fail_next(StoreConflict("another worker was faster"))

    said = await batches.carry_out([received(create()), received(create())])

    assert words(said) == ["created", "reused"]
    assert sequences(said) == [("cam-1", 1)]
    assert store.transactions == CONFLICTS_AT_ONCE_MAX + 1


async def test_a_conflict_that_goes_on_is_looked_into_at_once(store: FailingStore) -> None:
    for _ in range(CONFLICTS_AT_ONCE_MAX + 1):
        store.fail_next(StoreConflict("this sequence is taken"))

    with pytest.raises(StoreConflict, match="this sequence"):
        await WorkerInMemory(store=store).batches().carry_out([received(create())])

    assert store.transactions == CONFLICTS_AT_ONCE_MAX + 1


async def test_a_code_that_an_old_stream_bears_is_drawn_again_with_the_batch(store: FailingStore) -> None:
    bits = iter([1, 1, 1, 2])
    mint = SteadyMint(new_code=lambda: code_from_bits(next(bits)))
    batches = WorkerInMemory(store=store, mint=mint).batches()
    await batches.carry_out([received(create("cam-1"))])

    said = await batches.carry_out([received(create("cam-2"))])

    assert words(said) == ["created"]
    assert code_from_bits(2).encode() in said.replies[0].answer.body
    assert store.transactions == 4


async def test_a_broken_source_of_codes_is_a_defect(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store, mint=SteadyMint(new_code=lambda: a_stream().code)).batches()

    with pytest.raises(CodesExhausted):
        await batches.carry_out([received(create("cam-1")), received(create("cam-2"))])


async def test_a_batch_happens_when_it_is_saved_at_last(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    store.fail_next(StoreUnavailable("the disk is full"))

    first = await batches.carry_out([received(create())])
    second = await batches.carry_out([received(stop())])

    assert [event.at - BEGAN for event in (*first.events, *second.events)] == [
        timedelta(seconds=1),
        timedelta(seconds=2),
    ]


@pytest.mark.parametrize("saved", [True, False])
async def test_a_commit_whose_answer_was_lost_takes_effect_once(store: FailingStore, *, saved: bool) -> None:
    batches = WorkerInMemory(store=store).batches()
    store.fail_next(CommitUnknown("the connection was lost"), saved=saved)

    said = await batches.carry_out(
        [
            received(create(), message_id="m-1"),
            received(stop(), message_id="m-2"),
            received(get(), message_id="m-3"),
        ]
    )

    assert words(said) == ["created", "stopped", "found"]
    assert sequences(said) == [("cam-1", 1), ("cam-1", 2)]
    assert said.events == await outbox(store)


async def test_a_defect_passes_through_and_nothing_is_saved(store: FailingStore) -> None:
    batches = WorkerInMemory(store=store).batches()
    store.fail_next(ValueError("a defect"))

    with pytest.raises(ValueError, match="a defect"):
        await batches.carry_out([received(create())])

    assert await outbox(store) == []


async def test_what_is_confirmed_is_marked_with_the_next_batch(store: FailingStore) -> None:
    worker = WorkerInMemory(store=store)
    batches = worker.batches()
    first = await batches.carry_out([received(create("cam-1")), received(create("cam-2"))])
    worker.outstanding.confirm(first.events[0])

    second = await batches.carry_out([received(stop("cam-1"))])

    assert sequences(second) == [("cam-1", 2)]
    assert worker.outstanding.confirmed == []
    assert await outbox(store) == [second.events[0], first.events[1]]


async def test_an_event_that_is_confirmed_while_the_next_batch_is_saved_is_not_said_again(
    store: FailingStore,
) -> None:
    worker = WorkerInMemory(store=store)
    batches = worker.batches()
    (event,) = (await batches.carry_out([received(create())])).events

    async def confirm() -> None:
        worker.outstanding.confirm(event)

    store.meanwhile = confirm
    second = await batches.carry_out([received(stop())])

    assert sequences(second) == [("cam-1", 2)]
    assert worker.outstanding.confirmed == [event.id]


async def test_an_event_that_is_released_while_the_next_batch_is_saved_is_said_with_it(
    store: FailingStore,
) -> None:
    worker = WorkerInMemory(store=store)
    batches = worker.batches()
    (event,) = (await batches.carry_out([received(create())])).events

    async def release() -> None:
        worker.outstanding.release(event)

    store.meanwhile = release
    second = await batches.carry_out([received(stop())])

    assert sequences(second) == [("cam-1", 1), ("cam-1", 2)]


async def test_the_events_of_a_lost_epoch_come_with_the_repeat_of_their_command(store: FailingStore) -> None:
    command = received(create(), message_id="m-1")
    lost = await WorkerInMemory(store=store).batches().carry_out([command])

    again = await WorkerInMemory(store=store).batches().carry_out([command])

    assert again.events == lost.events
    assert again.replies == lost.replies
