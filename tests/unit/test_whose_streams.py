"""Whose streams a batch may see: what is another's is as if it were not there, from the load to the last byte."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from tests.support.making import (
    SteadyMint,
    a_stream,
    an_event,
    by_code,
    content_of,
    create,
    get,
    received,
    stop,
    told,
)
from worker.amqp.codec.render import WireRenderer
from worker.domain.commands import Command
from worker.domain.roster import Device
from worker.domain.stream import Stream
from worker.service.decided import Decided, decide_batch, wanted_by
from worker.service.messages import Received
from worker.service.ports import Store, Transaction
from worker.service.stored import Loaded, Wanted

MINE = a_stream("mine", number=1)
THEIRS = a_stream("theirs", number=2)
ABSENT = a_stream("nobody", number=3)


def by_id_and_code(stream: Stream) -> list[Command]:
    return [get(stream.id), stop(stream.id), stop(by_code(stream.code))]


def decided(*batch: Received) -> Decided:
    loaded = Loaded(
        devices=[Device(id=s.device_id, sequence=1, latest_stream_id=s.id) for s in (MINE, THEIRS)],
        streams=[MINE, THEIRS],
        unpublished=[an_event("mine", 1), an_event("theirs", 1)],
    )
    return decide_batch(batch, loaded, mint=SteadyMint()(), renderer=WireRenderer(), published=())


def words(result: Decided) -> list[str]:
    return [told(answer) for answer in result.answers]


@pytest.mark.parametrize("number", range(3))
def test_anothers_stream_is_answered_byte_for_byte_like_one_that_is_not_there(number: int) -> None:
    theirs = received(by_id_and_code(THEIRS)[number], message_id="m-1", sender="mine", only_for="mine")
    absent = received(by_id_and_code(ABSENT)[number], message_id="m-1", sender="mine", only_for="mine")

    result, expected = decided(theirs), decided(absent)

    name = {str(THEIRS.id): str(ABSENT.id), THEIRS.code: ABSENT.code}
    told_theirs = content_of(result.answers[0])
    for shown, hidden in name.items():
        told_theirs["detail"] = told_theirs["detail"].replace(shown, hidden)
    assert told_theirs == content_of(expected.answers[0])
    assert told_theirs["code"] == "not_found"


@pytest.mark.parametrize("command", by_id_and_code(THEIRS))
def test_who_reaches_for_anothers_stream_neither_changes_it_nor_makes_its_device_speak(command: Command) -> None:
    result = decided(received(command, only_for="mine"))

    assert words(result) == ["not_found"]
    assert (result.changes.devices, result.changes.updated_streams, result.due) == ([], [], [])


def test_in_one_batch_each_sender_sees_its_own() -> None:
    batch = [
        received(get(THEIRS.id), only_for="mine"),
        received(get(THEIRS.id), only_for="theirs"),
        received(get(THEIRS.id)),
        received(stop(THEIRS.id), only_for="mine"),
        received(get(by_code(THEIRS.code)), only_for=None),
        received(stop(by_code(THEIRS.code)), only_for="theirs"),
    ]

    assert words(decided(*batch)) == ["not_found", "found", "found", "not_found", "found", "stopped"]


def test_who_uses_anothers_message_id_gets_an_answer_of_its_own() -> None:
    batch = [
        received(create("theirs"), message_id="m-1", sender="theirs", only_for="theirs"),
        received(stop(THEIRS.id), message_id="m-1", sender="mine", only_for="mine"),
        received(create("mine"), message_id="m-1", sender="boss"),
    ]

    result = decided(*batch)

    assert words(result) == ["reused", "not_found", "reused"]
    assert content_of(result.answers[2])["stream"]["device_id"] == "mine"


@pytest.mark.parametrize(
    ("batch", "only_for"),
    [
        ([received(get(THEIRS.id), only_for="mine")], {THEIRS.id: {"mine"}}),
        ([received(stop(by_code("7K3M9QXA")), only_for="mine")], {"7K3M9QXA": {"mine"}}),
        ([received(get(THEIRS.id), only_for=device) for device in ("a", "b")], {THEIRS.id: {"a", "b"}}),
        ([received(get(THEIRS.id), only_for=device) for device in ("a", None)], {}),
        ([received(get("mine"), only_for="mine"), received(create("mine"), only_for="mine")], {}),
        ([received(get(THEIRS.id)), received(get(by_code("7K3M9QXA")))], {}),
    ],
)
def test_only_what_not_everybody_may_see_is_hidden(
    batch: Sequence[Received], only_for: dict[UUID | str, set[str]]
) -> None:
    assert wanted_by(batch).only_for == only_for


def is_meant(wanted: Wanted, stream: Stream) -> bool:
    return wanted.means(stream_id=stream.id, code=stream.code, device_id=stream.device_id)


def test_a_stream_is_meant_if_one_of_its_names_was_used_by_somebody_who_may_see_it() -> None:
    hidden: dict[UUID | str, frozenset[str]] = {THEIRS.id: frozenset({"mine"}), THEIRS.code: frozenset({"theirs"})}

    assert not is_meant(Wanted(), THEIRS)
    assert is_meant(Wanted(stream_ids=frozenset({THEIRS.id})), THEIRS)
    assert not is_meant(Wanted(stream_ids=frozenset({THEIRS.id}), only_for=hidden), THEIRS)
    assert is_meant(Wanted(codes=frozenset({THEIRS.code}), only_for=hidden), THEIRS)
    both = Wanted(stream_ids=frozenset({THEIRS.id}), codes=frozenset({THEIRS.code}), only_for=hidden)
    assert is_meant(both, THEIRS)


async def test_a_store_passes_over_what_the_asker_may_not_see(store: Store) -> None:
    mine, theirs = frozenset({"mine"}), frozenset({"theirs"})

    async def begin(transaction: Transaction) -> None:
        for device_id, number in (("mine", 1), ("theirs", 2)):
            batch = [received(create(device_id))]
            loaded = await transaction.load(wanted_by(batch))
            mint = SteadyMint(numbers=iter(range(10 * number, 10 * number + 10)))()
            result = decide_batch(batch, loaded, mint=mint, renderer=WireRenderer(), published=())
            await transaction.save(result.changes)

    async def load(wanted: Wanted) -> Loaded:
        return await store.transact(lambda transaction: transaction.load(wanted))

    await store.transact(begin)
    (stream,) = (await load(Wanted(devices=theirs))).streams
    ids, codes = frozenset({stream.id}), frozenset({stream.code})

    assert await load(Wanted(stream_ids=ids, only_for={stream.id: mine})) == Loaded(
        devices=[], streams=[], unpublished=[]
    )
    assert await load(Wanted(codes=codes, only_for={stream.code: mine})) == Loaded(
        devices=[], streams=[], unpublished=[]
    )
    for shown in (
        Wanted(stream_ids=ids, only_for={stream.id: mine | theirs}),
        Wanted(codes=codes, only_for={stream.code: theirs}),
        Wanted(stream_ids=ids, codes=codes, only_for={stream.code: mine}),
    ):
        assert (await load(shown)).streams == [stream]
