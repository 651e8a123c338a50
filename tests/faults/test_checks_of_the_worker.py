"""The judges of what is seen of a worker itself: on its wire, in its health, and in what it occupies."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pytest

from tests.faults.checks.health import Footprint, Pulse
from tests.faults.checks.verdict import Circumstances, verdict
from tests.faults.checks.violation import Invariant
from tests.faults.history import History
from tests.faults.snapshot import Snapshot
from tests.faults.story import Story
from tests.faults.wire_log import Direction, Seen

CAM_1: Final = {"device_id": "cam-1"}
WORKER: Final = Circumstances(healed_at_s=10, within_s=5)

Frames = Sequence[Seen]


@pytest.fixture
def story() -> Story:
    """What comes to the worker's channel: deliveries 1 to 4, of which the fourth is the second again."""
    story = Story()
    story.ask("stream.create", CAM_1, message_id="m-1")
    story.ask("stream.get", CAM_1, message_id="m-2")
    story.ask("stream.get", CAM_1)
    story.ask("stream.get", CAM_1, message_id="m-2")
    return story


def cries_at(story: Story, frames: Frames) -> list[str]:
    """Return what is found about acknowledgements: which command, and what was missing."""
    # In the order of the list, whatever the plants did to it.
    seen = [replace(frame, at_s=float(number)) for number, frame in enumerate(frames)]
    found = verdict(story.history, story.snapshot, replace(story.circumstances, seen=seen)).violations
    assert {violation.invariant for violation in found} <= {Invariant.I13}
    return [f"{v.what}: {v.detail.partition(' before ')[2].partition(' was ')[0]}" for v in found]


def is_ack_of(frame: Seen, tag: int) -> bool:
    return (frame.direction, frame.method, frame.delivery_tag) == (Direction.TO_BROKER, "Basic.Ack", tag)


def acknowledged_at_once(frames: Frames, tag: int) -> Frames:
    """Move an acknowledgement right behind its delivery."""
    ack = next(frame for frame in frames if is_ack_of(frame, tag))
    others = [frame for frame in frames if frame is not ack]
    at = next(n for n, f in enumerate(others) if f.method == "Basic.Deliver" and f.delivery_tag == tag)
    return [*others[: at + 1], ack, *others[at + 1 :]]


def without(frames: Frames, is_meant: Callable[[Seen], bool]) -> Frames:
    return [frame for frame in frames if not is_meant(frame)]


def test_what_is_confirmed_first_may_be_acknowledged(story: Story) -> None:
    assert cries_at(story, story.seen) == []


def test_an_acknowledgement_before_the_reply_is_found(story: Story) -> None:
    assert cries_at(story, acknowledged_at_once(story.seen, 2)) == ["message id m-2: its reply"]


def test_an_acknowledgement_before_the_event_is_found(story: Story) -> None:
    event_id = story.snapshot.events[0].event_id
    assert cries_at(story, without(story.seen, lambda frame: frame.message_id == event_id)) == [
        f"message id m-1: event {event_id}"
    ]


def confirmed_as(method: str, frames: Frames, message_id: str) -> Frames:
    """Have the broker say something else to the publish of a message."""
    tag = next(f.delivery_tag for f in frames if f.method == "Basic.Publish" and f.message_id == message_id)
    meant = (Direction.TO_WORKER, "Basic.Ack", tag)
    return [replace(f, method=method) if (f.direction, f.method, f.delivery_tag) == meant else f for f in frames]


@pytest.mark.parametrize(("method", "cries"), [("Basic.Nack", 0), ("Basic.Ack", 1)])
def test_an_event_may_wait_behind_one_that_was_refused_and_behind_no_other(method: str, cries: int) -> None:
    story = Story()
    story.ask("stream.create", CAM_1, message_id="m-1")
    story.ask("stream.stop", CAM_1, message_id="m-2")
    first, second = (row.event_id for row in story.snapshot.events)
    frames = without(confirmed_as(method, story.seen, first), lambda frame: frame.message_id == second)
    assert cries_at(story, frames) == [f"message id m-2: event {second}"] * cries


@pytest.mark.parametrize(("correlation_id", "cries"), [("c-2", 0), (None, 1)])
def test_who_is_told_that_the_message_id_is_anothers_owes_no_event(correlation_id: str | None, cries: int) -> None:
    """The other is delivered again later, and acknowledged then."""
    story = Story()
    story.ask("stream.create", CAM_1, message_id="m-1")
    story.ask("stream.create", {"device_id": "cam-2"}, message_id="m-1")
    (event,) = story.snapshot.events
    frames = [
        replace(f, correlation_id=correlation_id) if f.method == "Basic.Deliver" and f.delivery_tag == 2 else f
        for f in without(story.seen, lambda frame: frame.message_id == event.event_id or is_ack_of(frame, 1))
    ]
    assert cries_at(story, frames) == [f"message id m-1: event {event.event_id}"] * cries


def test_a_publish_without_its_confirm_is_not_enough(story: Story) -> None:
    reply_tag = 2  # the event was the first
    confirm = (Direction.TO_WORKER, "Basic.Ack", reply_tag)
    frames = without(story.seen, lambda frame: (frame.direction, frame.method, frame.delivery_tag) == confirm)
    assert cries_at(story, frames) == ["message id m-1: its reply"]


def test_the_reply_to_an_earlier_delivery_does_not_stand_for_a_later_one(story: Story) -> None:
    assert cries_at(story, acknowledged_at_once(story.seen, 4)) == ["message id m-2: its reply"]


def test_the_reply_to_a_delivery_that_was_lost_does_not_stand_for_the_next(story: Story) -> None:
    frames = without(acknowledged_at_once(story.seen, 4), lambda frame: is_ack_of(frame, 2))
    assert cries_at(story, frames) == ["message id m-2: its reply"]


def test_the_reply_to_a_later_delivery_is_not_used_up_by_an_earlier_one(story: Story) -> None:
    """The second reply is confirmed before the first, and then both deliveries are acknowledged."""
    confirm = (Direction.TO_WORKER, "Basic.Ack", 3)  # of the first reply
    late = [f for f in story.seen if (f.direction, f.method, f.delivery_tag) == confirm]
    acks = [f for f in story.seen if is_ack_of(f, 2) or is_ack_of(f, 4)]
    assert cries_at(story, [*without(story.seen, lambda frame: frame in [*late, *acks]), *late, *acks]) == []


def test_one_reply_stands_for_one_delivery(story: Story) -> None:
    """Both deliveries come first; then one reply, and one acknowledgement for all."""
    deliveries = [frame for frame in story.seen if frame.method == "Basic.Deliver"]
    others = without(story.seen, lambda frame: frame in deliveries or is_ack_of(frame, 1) or is_ack_of(frame, 2))
    said = without(others, lambda frame: frame.delivery_tag == 5 and frame.method == "Basic.Publish")
    last = [replace(frame, multiple=True) if is_ack_of(frame, 4) else frame for frame in said]
    assert cries_at(story, [*deliveries, *last]) == ["message id m-2: its reply"]


def test_an_acknowledgement_of_several_is_of_each(story: Story) -> None:
    early = replace(next(f for f in story.seen if is_ack_of(f, 4)), multiple=True)
    deliveries = [frame for frame in story.seen if frame.method == "Basic.Deliver"]
    others = without(story.seen, lambda frame: frame in deliveries)
    event = f"event {story.snapshot.events[0].event_id}"
    assert cries_at(story, [*deliveries, early, *others]) == [
        f"message id m-1: {event}",
        "message id m-1: its reply",
        "message id m-2: its reply",
        "message id m-2: its reply",
    ]


def test_a_confirm_of_several_is_of_each(story: Story) -> None:
    """And a refusal is as good: the asker's queue is full, and asking again gets it."""

    acks = [frame for frame in story.seen if frame.method == "Basic.Ack"]
    confirm, own = acks[0], [frame for frame in acks if frame.direction is Direction.TO_BROKER]
    refusal = replace(confirm, method="Basic.Nack", delivery_tag=9, multiple=True)
    others = without(story.seen, lambda frame: frame in acks)
    assert cries_at(story, [*others, refusal, *own]) == []


def test_what_is_given_back_needs_no_reply(story: Story) -> None:
    frames = [
        replace(frame, method="Basic.Reject") if is_ack_of(frame, 2) else frame
        for frame in acknowledged_at_once(story.seen, 2)
    ]
    assert cries_at(story, frames) == []


def test_a_dead_letter_stands_for_a_reply(story: Story) -> None:
    """It keeps the command's message id."""
    reply_id = story.history.answers[1].message_id
    frames = [
        replace(f, message_id="m-2") if f.method == "Basic.Publish" and f.message_id == reply_id else f
        for f in story.seen
    ]
    assert cries_at(story, frames) == []


def test_a_wire_on_which_nobody_acknowledged_anything_was_not_the_workers(story: Story) -> None:
    deliveries = [frame for frame in story.seen if frame.method != "Basic.Ack"]
    for frames in ([], deliveries):
        found = verdict(story.history, story.snapshot, replace(story.circumstances, seen=frames)).violations
        cries = {(violation.invariant, violation.what, violation.detail) for violation in found}
        assert cries == {(Invariant.I13, "the wire", "4 answers, and no acknowledgement by a worker was seen")}


def test_a_wire_that_nobody_watched_is_not_judged(story: Story) -> None:
    assert verdict(story.history, story.snapshot, replace(story.circumstances, seen=None)).is_good


def pulse(at_s: float, *, is_ready: bool = True, consumers: int = 1, waiting: int = 0, answered: int = 0) -> Pulse:
    return Pulse(at_s=at_s, is_ready=is_ready, consumers=consumers, waiting=waiting, answered=answered)


def pulse_of_3(at_s: float, *, consumers: int, ready_workers: int = 3) -> Pulse:
    return replace(pulse(at_s, consumers=consumers), ready_workers=ready_workers)


SICK: Final = {
    "nobody looked in time": ([pulse(11)], "nobody has looked since"),
    "not ready": ([pulse(16, is_ready=False)], "ready: False, consumers: 1, for 1 workers"),
    "deaf": ([pulse(15), pulse(16, consumers=0)], "ready: True, consumers: 0, for 1 workers"),
    "deaf, and the others are not": (
        [pulse_of_3(15, consumers=3), pulse_of_3(16, consumers=2)],
        "ready: True, consumers: 2, for 3 workers",
    ),
    "alive, but nothing goes on": (
        [pulse(at_s, waiting=5, answered=7) for at_s in (15, 16, 17, 18, 19)],
        "5 wait, and no answer for 4.0 s",
    ),
    "alive, and nothing has gone on for long": (
        [pulse(at_s, waiting=5, answered=7) for at_s in (9, 12, 13, 14, 15, 16)],
        "5 wait, and no answer for 4.0 s",
    ),
    "ready without a consumer": (
        [*(pulse(at_s, consumers=0) for at_s in (1, 2, 3, 4)), pulse(15)],
        "0 consumers for 1 ready workers, for 3.0 s",
    ),
    "ready, and one of the others is without a consumer": (
        [*(pulse_of_3(at_s, consumers=2) for at_s in (1, 2, 3, 4)), pulse_of_3(15, consumers=3)],
        "2 consumers for 3 ready workers, for 3.0 s",
    ),
}


@pytest.mark.parametrize("name", SICK)
def test_a_worker_that_is_not_back_is_found(name: str) -> None:
    pulses, detail = SICK[name]
    found = verdict(History(), Snapshot(), replace(WORKER, pulses=pulses)).violations
    assert [(violation.invariant, violation.detail) for violation in found] == [(Invariant.I11, detail)]


@pytest.mark.parametrize(
    "pulses",
    [
        [pulse(1, is_ready=False, consumers=0), pulse(9, is_ready=False, consumers=0), pulse(15)],
        [pulse(1, consumers=0), pulse(2, consumers=0), pulse(3), pulse(4, consumers=0), pulse(15)],
        [pulse(at_s, waiting=5, answered=int(at_s)) for at_s in (15, 16, 17, 18, 19)],
        [pulse(at_s, waiting=5, answered=int(at_s / 2)) for at_s in (10, 12, 13, 14, 15, 16)],
        [pulse(at_s, waiting=5) for at_s in (1, 2, 3, 4, 5, 14)] + [pulse(15)],
        [pulse(at_s) for at_s in (15, 17, 19)],
        [pulse_of_3(at_s, consumers=2, ready_workers=2) for at_s in (1, 4, 7)] + [pulse_of_3(15, consumers=3)],
        [],
    ],
    ids=["away and says so", "noticed in time", "busy", "slow", "was stuck", "idle", "one away", "not watched"],
)
def test_a_worker_that_is_back_is_let_be(pulses: list[Pulse]) -> None:
    assert verdict(History(), Snapshot(), replace(WORKER, pulses=pulses)).is_good


BEFORE: Final = Footprint(tasks=12, fds=20, connections=3, channels=3, rss_bytes=80_000_000)


@pytest.mark.parametrize("name", ["tasks", "fds", "connections", "channels"])
def test_one_more_of_anything_is_a_leak(name: str) -> None:
    after = replace(BEFORE, **{name: getattr(BEFORE, name) + 1})
    found = verdict(History(), Snapshot(), replace(WORKER, footprints=(BEFORE, after))).violations
    assert [(violation.invariant, violation.what) for violation in found] == [(Invariant.I12, name)]


def test_memory_may_grow_a_little_and_no_more() -> None:
    little, much = (replace(BEFORE, rss_bytes=BEFORE.rss_bytes + more) for more in (30_000_000, 40_000_000))
    assert verdict(History(), Snapshot(), replace(WORKER, footprints=(BEFORE, little))).is_good
    found = verdict(History(), Snapshot(), replace(WORKER, footprints=(BEFORE, much))).violations
    assert [(violation.invariant, violation.what) for violation in found] == [(Invariant.I12, "rss_bytes")]
