"""Deciding a whole batch: repeats, reuse, and what is left to save and to say."""

import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from tests.support.making import (
    BEGAN,
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
from worker.service.decided import Decided, decide_batch, wanted_by
from worker.service.messages import Handled, MessageKey, Received
from worker.service.stored import Loaded, Wanted

ACTIVE = a_stream("cam-1", number=500)
DEVICE = Device(id="cam-1", sequence=1, latest_stream_id=ACTIVE.id)
STREAMING = Loaded(devices=[DEVICE], streams=[ACTIVE])


def decided(
    *batch: Received, loaded: Loaded | None = None, mint: SteadyMint | None = None, published: Sequence[UUID] = ()
) -> Decided:
    return decide_batch(
        batch,
        loaded or Loaded(),
        mint=(mint or SteadyMint())(),
        renderer=WireRenderer(),
        published=published,
    )


def words(result: Decided) -> list[str]:
    return [told(answer) for answer in result.answers]


def remembered(result: Decided, *, loaded: Loaded | None = None) -> Loaded:
    """Return what the next batch finds, when this one is saved."""
    before = loaded or Loaded()
    streams = {s.id: s for s in [*before.streams, *result.changes.updated_streams, *result.changes.new_streams]}
    devices = {d.id: d for d in [*before.devices, *result.changes.devices]}
    handled = {**before.handled, **{handled.identity.key: handled for handled in result.changes.handled}}
    return Loaded(devices=list(devices.values()), streams=list(streams.values()), handled=handled)


def assert_nothing_changed(result: Decided) -> None:
    changes = result.changes
    assert not changes.devices
    assert not changes.updated_streams
    assert not changes.new_streams
    assert not changes.events
    assert not changes.handled


def test_everything_that_is_named_is_loaded() -> None:
    stream_id = UUID(int=9)
    batch = [
        received(create("cam-1"), message_id="m-1", sender="anna"),
        received(stop("cam-2")),
        received(get(stream_id), message_id="m-1"),
        received(stop(by_code("7K3M9QXA"))),
    ]

    assert wanted_by(batch) == Wanted(
        devices=frozenset({"cam-1", "cam-2"}),
        creating=frozenset({"cam-1"}),
        stream_ids=frozenset({stream_id}),
        codes=frozenset({"7K3M9QXA"}),
        keys=frozenset(
            {MessageKey(sender="anna", message_id="m-1"), MessageKey(sender="", message_id="m-1")},
        ),
    )


def test_commands_are_carried_out_in_delivery_order() -> None:
    result = decided(
        received(get()),
        received(create()),
        received(get()),
        received(create()),
        received(stop()),
        received(stop()),
    )

    assert words(result) == ["not_found", "created", "found", "reused", "stopped", "already_stopped"]


def test_a_repeat_in_the_same_batch_gets_the_first_reply_byte_for_byte() -> None:
    first, repeat = received(create(), message_id="m-1"), received(create(), message_id="m-1")

    result = decided(first, received(stop()), repeat)

    assert words(result) == ["created", "stopped", "created"]
    assert result.answers[2] == result.answers[0]
    assert len(result.changes.events) == 2
    assert [handled.identity for handled in result.changes.handled] == [first.identity]


def test_a_repeat_in_a_later_batch_gets_the_first_reply_and_changes_nothing() -> None:
    command = received(create(), message_id="m-1")
    first = decided(command)

    again = decided(command, loaded=remembered(first))

    assert again.answers == first.answers
    assert_nothing_changed(again)


def test_a_repeat_gets_the_first_reply_even_where_the_world_has_moved_on() -> None:
    ask = received(get(), message_id="m-1")
    first = decided(ask)
    later = decided(received(create()), loaded=remembered(first))

    again = decided(ask, loaded=remembered(later, loaded=remembered(first)))

    assert words(first) == words(again) == ["not_found"]
    assert again.answers == first.answers


def test_a_refusal_is_remembered_like_a_success() -> None:
    result = decided(received(stop("cam-9"), message_id="m-1"))

    (handled,) = result.changes.handled
    assert told(handled.answer) == "not_found"
    assert handled.answer == result.answers[0]
    assert handled.at == BEGAN


@pytest.mark.parametrize("other", [stop(), create()])
def test_a_message_id_used_for_other_bytes_in_the_batch_is_refused_and_changes_nothing(other: Command) -> None:
    first = received(create(), message_id="m-1")
    reused = received(other, message_id="m-1", said=b"other bytes")

    result = decided(first, reused, first)

    assert words(result) == ["created", "message_id_reused", "created"]
    assert len(result.changes.events) == 1
    assert [handled.identity for handled in result.changes.handled] == [first.identity]


def test_a_message_id_used_for_other_bytes_in_an_earlier_batch_is_refused_and_changes_nothing() -> None:
    before = decided(received(create(), message_id="m-1"))

    result = decided(received(stop(), message_id="m-1"), loaded=remembered(before))

    assert words(result) == ["message_id_reused"]
    assert "m-1" in content_of(result.answers[0])["detail"]
    assert_nothing_changed(result)


def test_the_same_message_id_of_another_sender_is_another_command() -> None:
    result = decided(
        received(create(), message_id="m-1", sender="anna"),
        received(stop(), message_id="m-1", sender="ben"),
        received(stop(), message_id="m-1"),
    )

    assert words(result) == ["created", "stopped", "already_stopped"]
    assert len(result.changes.handled) == 3


def test_a_command_without_a_message_id_is_carried_out_each_time() -> None:
    command = received(create())

    result = decided(command, received(stop()), command)

    assert words(result) == ["created", "stopped", "created"]
    assert not result.changes.handled


def test_an_event_names_the_message_that_caused_it_if_it_had_an_id() -> None:
    result = decided(received(create(), message_id="m-1"), received(stop()))

    created, stopped = [json.loads(event.body) for event in result.changes.events]
    assert (created["causationid"], created["sequence"]) == ("m-1", "1")
    assert ("causationid" in stopped, stopped["sequence"]) == (False, "2")


def test_an_old_stream_that_ended_is_updated_and_the_one_after_it_is_new() -> None:
    result = decided(received(stop()), received(create()), loaded=STREAMING)

    changes = result.changes
    (new,) = changes.new_streams
    assert changes.updated_streams == [ACTIVE.stop(BEGAN)]
    assert new.is_active
    assert changes.devices == [Device(id="cam-1", sequence=3, latest_stream_id=new.id)]
    assert [event.sequence for event in changes.events] == [2, 3]


def test_all_of_a_batch_happens_at_one_time() -> None:
    result = decided(received(create("cam-1"), message_id="m-1"), received(create("cam-2")))

    assert result.changes.at == BEGAN
    assert {event.at for event in result.changes.events} == {BEGAN}
    assert {stream.created_at for stream in result.changes.new_streams} == {BEGAN}


def test_what_is_published_is_passed_on_to_be_marked() -> None:
    assert decided(received(get()), published=[UUID(int=5)]).changes.published == [UUID(int=5)]


def with_unpublished(handled: dict[MessageKey, Handled] | None = None) -> Loaded:
    return Loaded(
        devices=[DEVICE, Device(id="cam-2")],
        streams=[ACTIVE],
        handled=handled or {},
        unpublished=[an_event("cam-1", 1), an_event("cam-2", 1)],
    )


@pytest.mark.parametrize("command", [create("cam-1"), stop("cam-1"), stop(ACTIVE.id), stop(by_code(ACTIVE.code))])
def test_a_command_has_its_devices_events_published(command: Command) -> None:
    result = decided(received(command), loaded=with_unpublished())

    assert result.due == [an_event("cam-1", 1), *result.changes.events]


def test_a_repeat_has_its_devices_events_published() -> None:
    command = received(stop(ACTIVE.id), message_id="m-1")
    first = decided(command, loaded=STREAMING)

    again = decided(command, loaded=with_unpublished(dict(remembered(first).handled)))

    assert_nothing_changed(again)
    assert again.due == [an_event("cam-1", 1)]


@pytest.mark.parametrize("command", [get("cam-1"), get(ACTIVE.id), get(by_code(ACTIVE.code)), stop("cam-9")])
def test_a_device_that_is_only_looked_at_is_not_made_to_speak(command: Command) -> None:
    result = decided(received(command), loaded=with_unpublished())

    assert result.due == []


def test_the_events_of_a_parked_device_are_left_to_the_relay_the_new_ones_too() -> None:
    loaded = replace(with_unpublished(), unpublished=[], parked=frozenset({"cam-1"}))

    result = decided(received(stop("cam-1")), loaded=loaded)

    assert [event.sequence for event in result.changes.events] == [2]
    assert result.due == []


def test_it_is_passed_on_of_which_devices_events_may_be_missing() -> None:
    loaded = replace(with_unpublished(), cut=frozenset({"cam-1"}))

    assert decided(received(stop("cam-1")), loaded=loaded).cut == {"cam-1"}
