"""The devices and streams of a batch, in memory."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.support.making import BEGAN, a_stream
from worker.domain.commands import ByCode, ByDevice, ById, Selector
from worker.domain.events import EventType, StreamEvent
from worker.domain.roster import Device, Roster

LATER = BEGAN + timedelta(minutes=5)
OLD = a_stream("cam-1", number=1).stop(BEGAN)
CURRENT = a_stream("cam-1", number=2)


def a_roster() -> Roster:
    return Roster(
        devices=[Device(id="cam-1", sequence=3, latest_stream_id=CURRENT.id), Device(id="new-1")],
        streams=[OLD, CURRENT],
    )


def test_a_device_means_its_latest_stream() -> None:
    assert a_roster().find(ByDevice(device_id="cam-1")) == CURRENT


def test_an_id_and_a_code_mean_one_stream_however_old() -> None:
    assert a_roster().find(ById(stream_id=OLD.id)) == OLD
    assert a_roster().find(ByCode(code=OLD.code)) == OLD


@pytest.mark.parametrize(
    "selector",
    [
        ByDevice(device_id="new-1"),
        ByDevice(device_id="cam-9"),
        ById(stream_id=UUID(int=9)),
        ByCode(code="ZZZZZZZZ"),
    ],
)
def test_what_is_not_in_the_roster_does_not_exist(selector: Selector) -> None:
    assert a_roster().find(selector) is None


@pytest.mark.parametrize("selector", [ByDevice(device_id="cam-1"), ById(stream_id=OLD.id), ByCode(code=OLD.code)])
def test_a_stream_of_another_device_is_as_one_that_is_not_there(selector: Selector) -> None:
    roster = a_roster()

    assert roster.find(selector, only_for="cam-2") is None
    assert roster.find(selector, only_for="") is None
    assert roster.find(selector, only_for="cam-1") == roster.find(selector) is not None


def test_a_stream_that_begins_is_its_devices_latest_and_bears_its_code() -> None:
    roster, stream = Roster(devices=[Device(id="cam-1")]), a_stream("cam-1")

    event = roster.begin(stream)

    assert event == StreamEvent(type=EventType.CREATED, stream=stream, sequence=1, at=BEGAN)
    assert roster.find(ByDevice(device_id="cam-1")) == stream
    assert roster.find(ByCode(code=stream.code)) == stream
    assert roster.has_code(stream.code)
    assert not roster.has_code("ZZZZZZZZ")
    assert roster.changed_devices == [Device(id="cam-1", sequence=1, latest_stream_id=stream.id)]
    assert roster.new_streams == [stream]
    assert roster.updated_streams == []


def test_a_device_that_nobody_knew_begins_at_sequence_one() -> None:
    assert Roster().begin(a_stream("cam-1")).sequence == 1


def test_a_stopped_stream_stays_its_devices_latest() -> None:
    roster = a_roster()

    event = roster.stop(CURRENT, LATER)

    stopped = CURRENT.stop(LATER)
    assert event == StreamEvent(type=EventType.STOPPED, stream=stopped, sequence=4, at=LATER)
    assert roster.find(ByDevice(device_id="cam-1")) == stopped
    assert roster.changed_devices == [Device(id="cam-1", sequence=4, latest_stream_id=CURRENT.id)]
    assert roster.updated_streams == [stopped]
    assert roster.new_streams == []


def test_old_streams_and_new_ones_are_told_apart_as_they_are_at_the_end() -> None:
    roster, third, fourth = a_roster(), a_stream("cam-1", number=3), a_stream("cam-1", number=4)

    roster.stop(CURRENT, LATER)
    roster.begin(third)
    roster.stop(third, LATER)
    roster.begin(fourth)

    assert roster.updated_streams == [CURRENT.stop(LATER)]
    assert roster.new_streams == [third.stop(LATER), fourth]
    assert roster.changed_devices == [Device(id="cam-1", sequence=7, latest_stream_id=fourth.id)]


def test_changed_devices_come_by_id_and_the_others_not_at_all() -> None:
    roster = Roster(devices=[Device(id=name) for name in ("b", "c", "a")])

    roster.begin(a_stream("b", number=1))
    roster.begin(a_stream("a", number=2))

    assert [device.id for device in roster.changed_devices] == ["a", "b"]


def test_looking_changes_nothing() -> None:
    roster = a_roster()

    roster.find(ByDevice(device_id="cam-1"))

    assert (roster.changed_devices, roster.updated_streams, roster.new_streams) == ([], [], [])
