"""What each command does, by each selector, to each state of a device."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from tests.support.making import BEGAN, a_stream, by_code, create, get, stop
from worker.domain.commands import ByCode, ByDevice, ById, Command, Selector
from worker.domain.events import EventType, StreamEvent
from worker.domain.outcomes import Done, Result
from worker.domain.refusals import NotFound
from worker.domain.roster import Device, Roster
from worker.domain.stream import Stream
from worker.service.handlers import CODE_DRAWS_MAX, CodesExhausted, Mint, decide

NOW = BEGAN + timedelta(hours=1)
NEW_ID = UUID(int=77)
FREE_CODE = "FREEC0DE"
ACTIVE = a_stream("cam-1")
STOPPED = ACTIVE.stop(BEGAN)

EVERY_WAY: list[Selector] = [ByDevice(device_id="cam-1"), ById(stream_id=ACTIVE.id), ByCode(code=ACTIVE.code)]
NOWHERE: list[Selector] = [
    ByDevice(device_id="new-1"),
    ByDevice(device_id="cam-9"),
    ById(stream_id=UUID(int=9)),
    ByCode(code="ZZZZZZZZ"),
]


def a_mint(*codes: str) -> Mint:
    drawn: Iterator[str] = iter(codes or (FREE_CODE,))
    return Mint(now=NOW, new_id=lambda: NEW_ID, new_code=lambda: next(drawn))


def a_roster(stream: Stream) -> Roster:
    return Roster(
        devices=[Device(id="cam-1", sequence=stream.version, latest_stream_id=stream.id), Device(id="new-1")],
        streams=[stream],
    )


def changes_of(roster: Roster) -> int:
    return len(roster.changed_devices) + len(roster.updated_streams) + len(roster.new_streams)


@pytest.mark.parametrize(("device_id", "sequence"), [("new-1", 1), ("cam-1", 3)])
def test_create_makes_a_stream_where_none_is_active(device_id: str, sequence: int) -> None:
    roster = a_roster(STOPPED)

    outcome = decide(roster, create(device_id), a_mint())

    stream = Stream.start(id=NEW_ID, device_id=device_id, code=FREE_CODE, at=NOW)
    event = StreamEvent(type=EventType.CREATED, stream=stream, sequence=sequence, at=NOW)
    assert outcome == Done(result=Result.CREATED, stream=stream, event=event)
    assert roster.new_streams == [stream]


def test_create_gives_the_active_stream_again_and_makes_no_event() -> None:
    roster = a_roster(ACTIVE)

    assert decide(roster, create("cam-1"), a_mint()) == Done(result=Result.REUSED, stream=ACTIVE)
    assert changes_of(roster) == 0


@pytest.mark.parametrize("selector", EVERY_WAY)
def test_stop_ends_the_stream_however_it_is_named(selector: Selector) -> None:
    roster = a_roster(ACTIVE)

    outcome = decide(roster, stop(selector), a_mint())

    stopped = ACTIVE.stop(NOW)
    event = StreamEvent(type=EventType.STOPPED, stream=stopped, sequence=2, at=NOW)
    assert outcome == Done(result=Result.STOPPED, stream=stopped, event=event)
    assert roster.updated_streams == [stopped]


@pytest.mark.parametrize("selector", EVERY_WAY)
def test_stopping_a_stopped_stream_succeeds_and_changes_nothing(selector: Selector) -> None:
    roster = a_roster(STOPPED)

    assert decide(roster, stop(selector), a_mint()) == Done(result=Result.ALREADY_STOPPED, stream=STOPPED)
    assert changes_of(roster) == 0


@pytest.mark.parametrize("stream", [ACTIVE, STOPPED])
@pytest.mark.parametrize("selector", EVERY_WAY)
def test_get_reads_the_stream_however_it_is_named(selector: Selector, stream: Stream) -> None:
    roster = a_roster(stream)

    assert decide(roster, get(selector), a_mint()) == Done(result=Result.FOUND, stream=stream)
    assert changes_of(roster) == 0


@pytest.mark.parametrize("make", [stop, get])
@pytest.mark.parametrize("selector", NOWHERE)
def test_a_stream_that_is_not_there_is_not_found(make: Callable[[Selector], Command], selector: Selector) -> None:
    roster = a_roster(ACTIVE)

    assert decide(roster, make(selector), a_mint()) == NotFound(selector=selector)
    assert changes_of(roster) == 0


@pytest.mark.parametrize("make", [stop, get])
@pytest.mark.parametrize("selector", EVERY_WAY)
@pytest.mark.parametrize("stream", [ACTIVE, STOPPED])
def test_anothers_stream_is_not_found_and_not_changed(
    make: Callable[[Selector], Command], selector: Selector, stream: Stream
) -> None:
    roster = a_roster(stream)

    assert decide(roster, make(selector), a_mint(), only_for="cam-2") == NotFound(selector=selector)
    assert changes_of(roster) == 0


@pytest.mark.parametrize("selector", EVERY_WAY)
def test_ones_own_stream_is_found_and_can_be_stopped(selector: Selector) -> None:
    roster = a_roster(ACTIVE)

    assert decide(roster, get(selector), a_mint(), only_for="cam-1") == Done(result=Result.FOUND, stream=ACTIVE)
    stopped = decide(roster, stop(selector), a_mint(), only_for="cam-1")
    assert isinstance(stopped, Done)
    assert stopped.result is Result.STOPPED


def test_a_device_creates_for_itself() -> None:
    created = decide(a_roster(STOPPED), create("cam-1"), a_mint(), only_for="cam-1")

    assert isinstance(created, Done)
    assert created.result is Result.CREATED


def test_a_stream_made_a_moment_ago_is_found_by_its_id_and_code() -> None:
    roster = Roster(devices=[Device(id="new-1")])

    decide(roster, create("new-1"), a_mint())

    for selector in (ById(stream_id=NEW_ID), by_code(FREE_CODE)):
        found = decide(roster, get(selector), a_mint())
        assert isinstance(found, Done)
        assert found.stream.id == NEW_ID


def test_a_code_that_is_taken_is_drawn_again() -> None:
    outcome = decide(a_roster(STOPPED), create("cam-1"), a_mint(STOPPED.code, STOPPED.code, FREE_CODE))

    assert isinstance(outcome, Done)
    assert outcome.stream.code == FREE_CODE


def test_the_last_draw_counts_too() -> None:
    taken = [STOPPED.code] * (CODE_DRAWS_MAX - 1)

    assert isinstance(decide(a_roster(STOPPED), create("cam-1"), a_mint(*taken, FREE_CODE)), Done)


def test_a_source_that_gives_only_taken_codes_is_broken() -> None:
    taken = [STOPPED.code] * CODE_DRAWS_MAX

    with pytest.raises(CodesExhausted, match="all of them taken"):
        decide(a_roster(STOPPED), create("cam-1"), a_mint(*taken, FREE_CODE))
