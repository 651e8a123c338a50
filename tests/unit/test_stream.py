"""A stream and the facts about it."""

from dataclasses import replace
from datetime import timedelta
from uuid import RFC_4122, UUID

from tests.support.making import BEGAN, a_stream
from worker.domain.events import EventType, StreamEvent
from worker.domain.stream import Status, Stream

LATER = BEGAN + timedelta(minutes=5)


def an_event(stream: Stream) -> StreamEvent:
    return StreamEvent(type=EventType.CREATED, stream=stream, sequence=1, at=BEGAN)


def test_a_new_stream_is_active_at_version_one() -> None:
    assert Stream.start(id=UUID(int=1), device_id="cam-1", code="7K3M9QXA", at=BEGAN) == Stream(
        id=UUID(int=1),
        device_id="cam-1",
        code="7K3M9QXA",
        status=Status.ACTIVE,
        created_at=BEGAN,
        stopped_at=None,
        version=1,
    )


def test_a_stopped_stream_is_the_same_one_a_version_later() -> None:
    stream = a_stream()

    stopped = stream.stop(LATER)

    assert stopped == replace(stream, status=Status.STOPPED, stopped_at=LATER, version=2)
    assert stream.is_active
    assert not stopped.is_active


def test_the_same_fact_has_the_same_id_whoever_says_it() -> None:
    stream = a_stream()

    assert an_event(stream).id == replace(an_event(stream), at=LATER, sequence=7).id
    assert str(an_event(stream).id) == "00000000-0000-84f0-b631-451067c8953f"


def test_a_facts_id_begins_with_its_streams_time_and_so_stands_beside_those_of_its_days() -> None:
    stream = replace(a_stream(), id=UUID("0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"))

    begun, stopped = an_event(stream).id, an_event(stream.stop(LATER)).id

    assert {str(one)[:13] for one in (begun, stopped)} == {"0199b6e2-7d9c"}
    assert (begun.version, begun.variant) == (8, RFC_4122)
    assert begun != stopped


def test_each_version_of_each_stream_is_another_fact() -> None:
    first, second = a_stream(number=1), a_stream(number=2)

    assert len({an_event(stream).id for stream in (first, second, first.stop(LATER), second.stop(LATER))}) == 4
