"""What the client promises without a broker."""

import asyncio
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from aio_pika.exceptions import AMQPConnectionError, ChannelInvalidStateError, ProbableAuthenticationError
from aiormq.exceptions import ChannelNotFoundEntity
from pamqp.header import ContentHeader

from devtools.project import ROOT
from schemas import Event, Problem, ProblemCode, Stream, StreamCreated, StreamData, StreamStatus
from stream_client import EventSubscriber, Gap, StreamMisconfigured
from stream_client.bindings import KEYS_MAX, Filter
from stream_client.broker_call import LinkLost, LinkSlow, broker_call
from stream_client.deadline import Deadline
from stream_client.letter import write_letter
from stream_client.pauses import growing_pauses, told_to_wait_s
from stream_client.sequencer import Sequencer
from stream_client.sources import source_of

PAGE = (ROOT / "docs/protocol.md").read_text("utf-8")


def an_event(device_id: str, sequence: int) -> Event:
    at = datetime(2026, 1, 12, tzinfo=UTC)
    id_ = UUID("0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34")
    stream = Stream(
        id=id_, device_id=device_id, code="7K3M9QXA", status=StreamStatus.ACTIVE, created_at=at, stopped_at=None,
        version=1,
    )  # fmt: skip
    return StreamCreated(id=uuid4(), subject=id_, time=at, sequence=str(sequence), data=StreamData(stream=stream))


@pytest.mark.parametrize(
    ("devices", "types", "keys"),
    [
        ([], [], ["#"]),
        ([], ["stream.created"], ["stream.created.#"]),
        (["cam-1"], [], ["stream.*.cam-1"]),
        (["site.7"], ["stream.stopped"], ["stream.stopped.site.7"]),
        (["b", "a"], [], ["stream.*.a", "stream.*.b"]),
        (
            ["a", "b"],
            ["stream.stopped", "stream.created"],
            ["stream.created.a", "stream.created.b", "stream.stopped.a", "stream.stopped.b"],
        ),
    ],
)
def test_the_binding_keys_are_what_was_asked_for(devices: list[str], types: list[str], keys: list[str]) -> None:
    assert Filter(devices=devices, types=types).keys == keys


def test_a_filter_takes_what_its_keys_would() -> None:
    both = Filter(devices=["a", "b"], types=["stream.created"])

    assert both.takes(an_event("a", 1))
    assert not both.takes(an_event("c", 1))
    assert not Filter(devices=[], types=["stream.stopped"]).takes(an_event("a", 1))
    assert Filter(devices=[], types=[]).takes(an_event("c", 1))


@pytest.mark.parametrize("device", ["#", "*", "a.#", "", "cam-1\n"])
def test_a_device_cannot_be_a_wildcard(device: str) -> None:
    with pytest.raises(ValueError, match="not a device id, which is 1 to 128 of the characters"):
        EventSubscriber("amqp://localhost/", on_gap=None, devices=["cam-1", device])


def test_a_type_must_be_one_of_ours() -> None:
    with pytest.raises(ValueError, match=r"there are stream\.created, stream\.stopped"):
        EventSubscriber("amqp://localhost/", on_gap=None, types=["stream.*"])


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"devices": "cam-1"}, "devices and types are lists"),
        ({"types": "stream.created"}, "devices and types are lists"),
        ({"devices": [f"cam-{number}" for number in range(1_001)]}, "more than 1000 binding keys"),
        ({"types": ["stream.created"], "on_gap": print}, "gaps in a device's sequence are normal"),
        ({"queue": "billing", "replay_from": "first"}, "give queue or replay_from"),
        ({"replay_from": datetime(2026, 1, 12)}, "no time zone"),  # noqa: DTZ001 - that is what it is about
        ({"replay_from": -1}, "counts from 0"),
        ({"replay_from": "last"}, 'is "first", a time, or an offset'),
    ],
)
def test_what_does_not_fit_together_is_refused(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EventSubscriber("amqp://localhost/", **{"on_gap": None, **asked})


def test_a_queue_with_many_bindings_has_time_for_each() -> None:
    keys = [f"stream.*.cam-{number}" for number in range(KEYS_MAX)]

    for queue in (None, "billing"):
        few, many = (source_of("streams", bound, queue=queue, replay_from=None) for bound in (keys[:1], keys))
        assert many.ready_s - few.ready_s > 0.05 * KEYS_MAX  # the way to a distant broker and back


def test_an_event_is_a_repeat_by_its_id_and_not_by_its_sequence() -> None:
    sequencer, second, late = Sequencer(), an_event("a", 2), an_event("a", 1)
    sequencer.note(second)

    assert sequencer.is_repeat(second)
    assert not sequencer.is_repeat(late)
    assert sequencer.gap_before(late) is None
    sequencer.note(late)
    assert sequencer.gap_before(an_event("a", 3)) is None


def test_a_gap_is_told_of_each_device_from_its_second_event_on() -> None:
    sequencer = Sequencer()

    assert sequencer.gap_before(an_event("a", 5)) is None
    sequencer.note(an_event("a", 5))
    assert sequencer.gap_before(an_event("a", 6)) is None
    assert sequencer.gap_before(an_event("b", 9)) is None
    assert sequencer.gap_before(an_event("a", 9)) == Gap(device_id="a", first=6, last=8)


def test_a_sequencer_forgets_the_device_that_was_silent_longest() -> None:
    sequencer = Sequencer(devices_max=2)
    for device_id, sequence in (("a", 1), ("b", 1), ("a", 2), ("c", 1)):
        sequencer.note(an_event(device_id, sequence))

    assert sequencer.gap_before(an_event("a", 4)) == Gap(device_id="a", first=3, last=3)
    assert sequencer.gap_before(an_event("b", 4)) is None


def test_a_sequencer_forgets_the_oldest_ids_and_then_gives_a_repeat_again() -> None:
    sequencer, events = Sequencer(ids_max=2), [an_event("a", number) for number in (1, 2, 3)]
    for event in events:
        sequencer.note(event)

    assert [sequencer.is_repeat(event) for event in events] == [False, True, True]


@pytest.mark.parametrize("message_id", ["", "x" * 129, "a\0b", "\N{GRINNING FACE}" * 64])
async def test_a_message_id_that_the_wire_cannot_carry_is_refused(message_id: str) -> None:
    with pytest.raises(ValueError, match="message_id"):
        write_letter("stream.get", {}, message_id)


@pytest.mark.parametrize(
    "made_at",
    [
        datetime(2026, 1, 12),  # noqa: DTZ001 - what it is about
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
    ],
)
async def test_a_time_that_the_wire_cannot_carry_is_refused(made_at: datetime) -> None:
    with pytest.raises(ValueError, match="with a zone, from 1970 to 2105"):
        write_letter("stream.get", {}, None, made_at=made_at)


@pytest.mark.parametrize(
    "made_at", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)]
)
async def test_the_first_and_the_last_time_that_there_can_be_are_read_as_they_were_written(
    made_at: datetime,
) -> None:
    written = write_letter("stream.get", {}, None, made_at=made_at).message.properties
    read = ContentHeader()
    read.unmarshal(ContentHeader(properties=written).marshal())

    assert read.properties.timestamp == made_at


async def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_letter("stream.get", {"device_id": float("nan")}, None)


@pytest.mark.parametrize(
    ("device_id", "routing_key"),
    [("cam-1", "cam-1"), ("no device", "any"), ("x" * 300, "any"), (7, "any"), (None, "any")],
)
async def test_a_command_is_routed_by_its_device_where_that_is_one(device_id: object, routing_key: str) -> None:
    assert write_letter("stream.create", {"device_id": device_id}, None).routing_key == routing_key


async def test_a_command_says_who_publishes_it_and_is_routed_by_the_sender_where_no_device_is_named() -> None:
    letter = write_letter("stream.stop", {"code": "7K3M9QXA"}, None, sender="cam-1")

    assert letter.message.user_id == "cam-1"
    assert letter.routing_key == "cam-1"


async def test_a_command_of_nobody_names_nobody() -> None:
    assert write_letter("stream.get", {"device_id": "cam-1"}, None).message.user_id is None


async def test_a_cancellation_that_nobody_asked_for_is_a_lost_link() -> None:
    with pytest.raises(LinkLost):
        async with broker_call(1.0):
            raise asyncio.CancelledError


async def test_a_cancellation_that_was_asked_for_stays_one() -> None:
    began = asyncio.Event()

    async def call() -> None:
        async with broker_call(60.0):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(call())
    await began.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_that_takes_too_long_is_a_slow_link() -> None:
    with pytest.raises(LinkSlow):
        async with broker_call(0.01):
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    "error",
    [
        AMQPConnectionError(),
        ConnectionResetError(),
        ChannelInvalidStateError("closed"),
        asyncio.IncompleteReadError(b"", 7),
        StopAsyncIteration(),
        Exception(),
    ],
)
async def test_whatever_a_lost_connection_raises_is_a_lost_link(error: Exception) -> None:
    with pytest.raises(LinkLost):
        async with broker_call(1.0):
            raise error


@pytest.mark.parametrize("error", [ProbableAuthenticationError("no"), ChannelNotFoundEntity("no exchange")])
async def test_what_the_broker_refuses_is_told(error: Exception) -> None:
    with pytest.raises(StreamMisconfigured, match="no"):
        async with broker_call(1.0):
            raise error


async def test_a_mistake_of_ours_is_not_taken_for_a_lost_link() -> None:
    with pytest.raises(TypeError):
        async with broker_call(1.0):
            raise TypeError


def test_pauses_are_those_that_the_page_asks_for() -> None:
    pauses = list(islice(growing_pauses(), 20))

    longest = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, *[10.0] * 14]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert any(one != other for one, other in pairwise(pauses[6:]))
    assert "0.2 s, doubled each time up to 10 s, each multiplied by a random number from 0.5 to 1" in PAGE


def test_what_can_succeed_later_is_waited_for_as_the_page_asks() -> None:
    early = Problem.make(ProblemCode.TOO_MANY_REQUESTS, "Not yet.", retry_after_s=0.4)
    later = Problem.make(ProblemCode.INTERNAL, "It is busy.").model_copy(update={"code": "busy"})

    assert told_to_wait_s(early) == 0.4
    assert told_to_wait_s(Problem.make(ProblemCode.INTERNAL, "It failed.")) == 10.0
    assert told_to_wait_s(later) == 10.0
    assert told_to_wait_s(Problem.make(ProblemCode.NOT_FOUND, "There is none.")) is None
    assert "after another problem that is `retryable`, like `internal`, take 10 s" in PAGE


async def test_a_deadline_ends_no_later_than_the_one_it_is_part_of() -> None:
    deadline = Deadline(0.5)

    assert deadline.at_most(60.0).left_s <= 0.5
    assert deadline.at_most(0.1).left_s <= 0.1
    assert Deadline(-1.0).left_s == 0.0
