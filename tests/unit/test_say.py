"""Saying: events in waves, replies and letters beside them."""

import asyncio
from collections.abc import Callable, Iterable

import pytest

from tests.support.fake_broker import FakeBroker, Fate
from tests.support.making import a_letter, a_reply, an_event
from worker.service.messages import DeadLetter, Outgoing, Reply, Said, StoredEvent
from worker.service.outstanding import Outstanding
from worker.service.ports import EpochOver
from worker.service.say import Refusals, Speaker

ONE, TWO, THREE = (an_event("cam-1", sequence) for sequence in (1, 2, 3))
OTHER_ONE, OTHER_TWO = (an_event("cam-2", sequence) for sequence in (1, 2))


class Saying:
    """A speaker over a fake broker."""

    def __init__(self, *, retries: int = 1) -> None:
        self.broker = FakeBroker()
        self.outstanding = Outstanding()
        self.waves: list[list[StoredEvent]] = []
        self._speaker = Speaker(
            publisher=self.broker.open(),
            outstanding=self.outstanding,
            event_retries=retries,
            retry_pause_s=0.0001,
        )

    async def say(
        self,
        events: Iterable[StoredEvent] = (),
        *,
        replies: Iterable[Reply] = (),
        letters: Iterable[DeadLetter] = (),
    ) -> Refusals:
        claimed = self.outstanding.claim(events)
        return await self._speaker.say(Said(events=claimed, replies=list(replies), letters=list(letters)))

    @property
    def published(self) -> list[StoredEvent]:
        return self.broker.published(StoredEvent)


def refusing(*messages: Outgoing, times: int = 1_000) -> Callable[[Outgoing], Fate]:
    left = dict.fromkeys(map(id, messages), times)

    def fate(message: Outgoing) -> Fate:
        left[id(message)] = left.get(id(message), 0) - 1
        return Fate.REFUSED if left[id(message)] >= 0 else Fate.CONFIRMED

    return fate


async def test_everything_is_said_once_and_in_order() -> None:
    saying = Saying()
    reply, letter = a_reply("anna"), a_letter(1)

    assert await saying.say([ONE, TWO, OTHER_ONE], replies=[reply], letters=[letter]) == Refusals()

    assert saying.published == [ONE, OTHER_ONE, TWO]
    assert saying.broker.published(Reply) == [reply]
    assert saying.broker.published(DeadLetter) == [letter]
    assert saying.outstanding.confirmed == [ONE.id, OTHER_ONE.id, TWO.id]


async def test_nothing_to_say_publishes_nothing() -> None:
    saying = Saying()

    assert await saying.say() == Refusals()
    assert saying.broker.journal == []


async def test_a_devices_next_event_goes_only_after_the_one_before_is_confirmed() -> None:
    saying = Saying()
    in_flight: list[int] = []

    async def look() -> None:
        in_flight.append(len(saying.published))

    saying.broker.confirming = look
    await saying.say([ONE, TWO, OTHER_ONE, OTHER_TWO, THREE])

    assert in_flight == [2, 4, 5]
    assert saying.published == [ONE, OTHER_ONE, TWO, OTHER_TWO, THREE]


async def test_a_refused_event_is_tried_again_in_place() -> None:
    saying = Saying(retries=2)
    saying.broker.fate = refusing(ONE, times=2)

    await saying.say([ONE, TWO])

    assert saying.published == [ONE, ONE, ONE, TWO]
    assert saying.outstanding.confirmed == [ONE.id, TWO.id]


async def test_each_event_has_tries_of_its_own() -> None:
    saying = Saying(retries=1)
    saying.broker.fate = refusing(ONE, TWO, THREE, times=1)

    await saying.say([ONE, TWO, THREE])

    assert saying.published == [ONE, ONE, TWO, TWO, THREE, THREE]
    assert saying.broker.arrived(StoredEvent) == [ONE, TWO, THREE]


async def test_a_refused_event_holds_back_only_its_devices_later_ones() -> None:
    saying = Saying(retries=1)
    saying.broker.fate = refusing(ONE)

    await saying.say([ONE, TWO, OTHER_ONE, OTHER_TWO])

    assert saying.published == [ONE, OTHER_ONE, ONE, OTHER_TWO]
    assert saying.outstanding.confirmed == [OTHER_ONE.id, OTHER_TWO.id]


async def test_a_refused_event_is_left_with_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    saying = Saying(retries=1)
    saying.broker.fate = refusing(ONE)

    await saying.say([ONE, TWO])

    (record,) = [record for record in caplog.records if record.message == "event.left_to_relay"]
    assert vars(record) | {"device_id": "cam-1", "sequence": 1, "refusals": 2} == vars(record)


async def test_an_event_that_was_held_up_is_left_without_a_refusal_until_it_is_claimed_again() -> None:
    saying = Saying(retries=1)
    saying.broker.fate = lambda message: Fate.HELD_UP if message is ONE else Fate.CONFIRMED

    await saying.say([ONE, TWO, OTHER_ONE])

    assert saying.published == [ONE, OTHER_ONE]
    assert saying.outstanding.refused == {}
    assert not saying.outstanding.is_troubled("cam-1")

    saying.broker.fate = lambda _: Fate.CONFIRMED
    await saying.say([ONE, TWO])

    assert saying.published[2:] == [ONE, TWO]


async def test_what_was_left_goes_first_when_it_is_claimed_again() -> None:
    saying = Saying(retries=0)
    saying.broker.fate = refusing(ONE, times=1)

    await saying.say([ONE, TWO])
    await saying.say([ONE, TWO, THREE])

    assert saying.published == [ONE, ONE, TWO, THREE]
    assert saying.broker.arrived(StoredEvent) == [ONE, TWO, THREE]


async def test_a_batch_decided_before_an_earlier_one_was_refused_does_not_overtake_it() -> None:
    saying = Saying(retries=0)
    saying.broker.fate = refusing(ONE)
    first, second = saying.outstanding.claim([ONE]), saying.outstanding.claim([ONE, TWO])
    assert (first, second) == ([ONE], [TWO])

    await saying._speaker.say(Said(events=first))
    await saying._speaker.say(Said(events=second))

    assert saying.published == [ONE]
    assert saying.outstanding.claim([ONE, TWO]) == [ONE, TWO]


@pytest.mark.parametrize(("fate", "returned"), [(Fate.REFUSED, 1), (Fate.GIVEN_UP, 0)])
async def test_a_refused_reply_is_returned_and_one_that_was_given_up_is_not(fate: Fate, returned: int) -> None:
    saying = Saying()
    reply = a_reply("anna")
    saying.broker.fate = lambda message: fate if message is reply else Fate.CONFIRMED

    refusals = await saying.say([ONE], replies=[reply, a_reply("ben")])

    assert refusals.replies == [reply] * returned

    assert [reply.message_id for reply in saying.broker.published(Reply)] == ["anna", "ben"]


async def test_a_refused_dead_letter_is_returned() -> None:
    saying = Saying()
    bad, good = a_letter(1), a_letter(2)
    saying.broker.fate = refusing(bad)

    assert await saying.say(letters=[bad, good]) == Refusals(letters=[bad])
    assert saying.broker.published(DeadLetter) == [bad, good]


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNSURE])
@pytest.mark.parametrize("unknown", [ONE, a_reply("anna"), a_letter(1)])
async def test_the_epoch_is_over_where_the_end_of_any_message_is_unknown(unknown: Outgoing, fate: Fate) -> None:
    saying = Saying()
    saying.broker.fate = lambda message: fate if message == unknown else Fate.CONFIRMED

    with pytest.raises(EpochOver, match="neither confirmed nor refused"):
        await saying.say([ONE, TWO], replies=[a_reply("anna")], letters=[a_letter(1)])

    assert TWO not in saying.published


def a_patient_speaker(saying: Saying) -> Speaker:
    return Speaker(
        publisher=saying.broker.open(), outstanding=saying.outstanding, event_retries=2, retry_pause_s=1_000
    )


async def test_between_the_tries_it_pauses_where_there_is_nothing_else_to_say() -> None:
    saying = Saying()
    saying.broker.fate = refusing(ONE)
    told = [ONE, an_event("cam-2", 1)]

    task = asyncio.create_task(a_patient_speaker(saying).say(Said(events=saying.outstanding.claim(told))))
    await saying.broker.until(lambda: saying.published == told)
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()

    assert saying.published == told


async def test_it_does_not_pause_while_another_device_has_something_to_say() -> None:
    saying = Saying()
    saying.broker.fate = refusing(ONE)
    told = [ONE, *(an_event("cam-2", sequence) for sequence in range(1, 4))]

    async with asyncio.timeout(30):
        await a_patient_speaker(saying).say(Said(events=saying.outstanding.claim(told)))

    assert saying.published.count(ONE) == 3


async def test_a_device_that_was_in_trouble_before_is_tried_once() -> None:
    saying = Saying(retries=3)
    saying.broker.fate = refusing(ONE, times=5)

    await saying.say([ONE])
    assert saying.published == [ONE] * 4
    await saying.say([ONE, TWO, OTHER_ONE])

    assert saying.published == [*[ONE] * 4, ONE, OTHER_ONE]
    assert saying.outstanding.refused == {"cam-1": 1}


async def test_a_device_out_of_trouble_has_all_its_tries_again() -> None:
    saying = Saying(retries=1)
    saying.broker.fate = refusing(ONE, times=2)
    await saying.say([ONE])
    await saying.say([ONE])
    saying.broker.fate = refusing(TWO, times=1)

    await saying.say([TWO])

    assert saying.broker.arrived(StoredEvent) == [ONE, TWO]
