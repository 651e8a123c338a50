"""The judges judged: a history without fault is acquitted, and each planted fault is found, by its invariant."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.checks.verdict import Circumstances, Verdict, verdict
from tests.faults.checks.violation import Invariant
from tests.faults.history import Answer, Event, Fate, History, Letter, Request
from tests.faults.load import KnownStreams, Load, Mix
from tests.faults.record import read_record, write_record
from tests.faults.snapshot import Snapshot
from tests.faults.story import STEP_S, Story

CAM_1: Final = {"device_id": "cam-1"}
CAM_2: Final = {"device_id": "cam-2"}
FIRST_ID: Final = "00000000-0000-0000-0000-000000000001"
NEW_ID: Final = "00000000-0000-0000-0000-0000000000ff"

World = tuple[History, Snapshot]
Plant = Callable[[History, Snapshot], World]


def short_story() -> Story:
    """Twelve commands and two poisons. What the plants below speak of by number stands here, from 0."""
    story = Story()
    begun = story.ask("stream.create", CAM_1, message_id="m-1")["stream"]
    story.ask("stream.create", CAM_1, message_id="m-2")
    story.ask("stream.create", CAM_1, message_id="m-1")
    story.ask("stream.get", {"code": begun["code"]}, message_id="m-3")
    story.ask("stream.stop", {"stream_id": begun["id"]}, message_id="m-4")
    story.ask("stream.stop", CAM_1, message_id="m-5")
    story.ask("stream.create", CAM_1, message_id="m-6")
    story.ask("stream.get", CAM_2, message_id="m-7")
    story.ask("stream.create", CAM_2)
    story.ask("stream.stop", CAM_2, message_id="m-2")
    story.ask("stream.get", CAM_1, message_id="m-1", sender="ben", asker="ben's app")
    story.ask("stream.stop", {"code": "ZZZZZZZZ"}, message_id="m-8")
    story.send_poison(b"[1]", is_answered=True)
    story.send_poison(b"[2]", is_answered=False)
    return story


def judged(history: History, snapshot: Snapshot, **more: Any) -> Verdict:
    more = {"reruns": 0} | more
    return verdict(history, snapshot, Circumstances(healed_at_s=0, within_s=STEP_S, **more))


def cries(result: Verdict) -> set[Invariant]:
    return {violation.invariant for violation in result.violations}


def test_a_story_told_by_hand_is_acquitted() -> None:
    stream = {
        "id": NEW_ID,
        "device_id": "cam-1",
        "code": "7K3M9QXA",
        "status": "active",
        "created_at": "2026-01-12T09:30:00.000000Z",
        "stopped_at": None,
        "version": 1,
    }
    event = json.dumps(
        {"id": "e-1", "type": "stream.created", "sequence": "1", "causationid": "m-1", "data": {"stream": stream}}
    ).encode()
    reply = json.dumps({"outcome": "created", "stream": stream}).encode()
    told: dict[str, Any] = {"message_id": "r-1", "type": "stream.reply", "content_type": "application/json"}
    asked: dict[str, Any] = {"message_id": "m-1", "kind": "stream.create", "body": b'{"device_id": "cam-1"}'}
    asked |= {"asker": "app", "sender": "", "reply_to": "q", "fate": Fate.CONFIRMED}
    history = History(
        requests=(Request(correlation_id="c-1", at_s=1, **asked), Request(correlation_id="c-2", at_s=3, **asked)),
        answers=(
            Answer(heard_by="app", correlation_id="c-1", body=reply, at_s=2, **told),
            Answer(heard_by="app", correlation_id="c-1", body=reply, at_s=2, **told),
            Answer(heard_by="app", correlation_id="c-2", body=reply, at_s=4, **told),
        ),
        events=(
            Event(message_id="e-1", type="stream.created", routing_key="stream.created.cam-1", body=event, at_s=2),
            Event(message_id="e-1", type="stream.created", routing_key="stream.created.cam-1", body=event, at_s=3),
        ),
    )
    result = judged(history, one_stream_in_the_database(stream, event, reply))
    assert result.is_good, str(result)
    assert (result.commands, result.events) == (2, 1)


def one_stream_in_the_database(stream: dict[str, Any], event: bytes, reply: bytes) -> Snapshot:
    story = Story()
    story.ask("stream.create", CAM_1, message_id="m-1")
    made = story.snapshot
    return replace(
        made,
        devices=(replace(made.devices[0], latest_stream_id=stream["id"]),),
        streams=(replace(made.streams[0], **stream),),
        events=(replace(made.events[0], event_id="e-1", body=event, at=stream["created_at"]),),
        handled=(replace(made.handled[0], sender="", reply_body=reply),),
    )


def test_a_story_told_by_the_model_is_acquitted() -> None:
    story = short_story()
    result = verdict(story.history, story.snapshot, story.circumstances)
    assert result.is_good, str(result)
    assert (result.commands, result.unconfirmed, result.events) == (12, 0, 4)


def test_a_long_story_of_many_devices_is_acquitted() -> None:
    story, known = Story(), KnownStreams()
    load = Load(seed="7", devices=[f"cam-{n}" for n in range(5)], known=known, mix=Mix(misuse=0.1, repeat=0.1))
    outcomes = set()
    for _ in range(500):
        for command in load.next():
            reply = story.ask(command.kind, json.loads(command.body), message_id=command.message_id)
            known.learn(json.dumps(reply).encode())
            outcomes.add(reply.get("outcome") or reply["code"])
    result = verdict(story.history, story.snapshot, story.circumstances)
    assert result.is_good, str(result)
    assert outcomes == {
        "created", "reused", "stopped", "already_stopped", "found", "not_found", "message_id_reused",
    }  # fmt: skip


def with_answer(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (replace(history, answers=_put(history.answers, number, **changed)), snapshot)


def with_request(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (
        replace(history, requests=_put(history.requests, number, **changed)),
        snapshot,
    )


def with_heard(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (replace(history, events=_put(history.events, number, **changed)), snapshot)


def with_event_row(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (history, replace(snapshot, events=_put(snapshot.events, number, **changed)))


def with_stream_row(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (
        history,
        replace(snapshot, streams=_put(snapshot.streams, number, **changed)),
    )


def with_device_row(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (
        history,
        replace(snapshot, devices=_put(snapshot.devices, number, **changed)),
    )


def with_handled_row(number: int, **changed: Any) -> Plant:
    return lambda history, snapshot: (
        history,
        replace(snapshot, handled=_put(snapshot.handled, number, **changed)),
    )


def with_answers(*order: int) -> Plant:
    return lambda history, snapshot: (replace(history, answers=tuple(history.answers[n] for n in order)), snapshot)


def with_events(*order: int) -> Plant:
    return lambda history, snapshot: (replace(history, events=tuple(history.events[n] for n in order)), snapshot)


def _put(values: tuple[Any, ...], number: int, **changed: Any) -> tuple[Any, ...]:
    """Change one of them; a change may be a function of what was there."""
    old = values[number]
    new = {name: to(getattr(old, name)) if callable(to) else to for name, to in changed.items()}
    return (*values[:number], replace(old, **new), *values[number + 1 :])


def saying(path: str, value: object) -> Callable[[bytes], bytes]:
    """Return what changes one member of a body; the path's steps are joined by dots."""

    def change(body: bytes) -> bytes:
        content = json.loads(body)
        *steps, last = path.split(".")
        member = content
        for step in steps:
            member = member[step]
        member[last] = value
        return json.dumps(content).encode()

    return change


def all_of(*plants: Plant) -> Plant:
    def plant(history: History, snapshot: Snapshot) -> World:
        for one in plants:
            history, snapshot = one(history, snapshot)
        return history, snapshot

    return plant


def a_command_lost(history: History, snapshot: Snapshot) -> World:
    """The second command: no answer, and nothing in the database."""
    handled = tuple(row for row in snapshot.handled if row.message_id != "m-3")
    answers = tuple(a for a in history.answers if a.correlation_id != "c-4")
    return replace(history, answers=answers), replace(snapshot, handled=handled)


def an_effect_forgotten(history: History, snapshot: Snapshot) -> World:
    """Answered, and its event is out; but a repeat would be carried out again."""
    return history, replace(snapshot, handled=snapshot.handled[1:])


def an_effect_twice(history: History, snapshot: Snapshot) -> World:
    """The last create again: a stop was lost between the two, as it were."""
    return _fact_more(history, snapshot, kind="stream.stopped", stream=1, version=2, cause="m-6")


def an_effect_without_cause(history: History, snapshot: Snapshot) -> World:
    """The same, and nobody can be asked: a command without a message id there was, but for cam-2."""
    return _fact_more(history, snapshot, kind="stream.stopped", stream=1, version=2, cause=None)


def caused_by(message_id: str) -> Plant:
    """Cam-2's event, which a command without a message id caused, names one as its cause."""
    named = saying("causationid", message_id)
    return all_of(with_heard(3, body=named), with_event_row(3, body=named))


def forgotten(message_id: str) -> Plant:
    return lambda history, snapshot: (
        history,
        replace(snapshot, handled=tuple(row for row in snapshot.handled if row.message_id != message_id)),
    )


def a_change_without_event(history: History, snapshot: Snapshot) -> World:
    events = tuple(e for e in history.events if e.message_id != snapshot.events[1].event_id)
    rows = (snapshot.events[0], *snapshot.events[2:])
    return replace(history, events=events), replace(snapshot, events=rows)


def an_event_from_nowhere(history: History, snapshot: Snapshot) -> World:
    """Heard, but nothing like it is committed."""
    after, _ = _fact_more(history, snapshot, kind="stream.stopped", stream=1, version=2, cause="m-9")
    return after, snapshot


def a_second_active_stream(history: History, snapshot: Snapshot) -> World:
    """A worker that did not see the first: everything of it is committed and heard."""
    row = replace(snapshot.streams[1], id=NEW_ID, code="SECOND00")
    snapshot = replace(snapshot, streams=(*snapshot.streams, row))
    latest = with_device_row(0, latest_stream_id=NEW_ID)
    return _fact_more(*latest(history, snapshot), kind="stream.created", stream=-1, version=1, cause=None)


def _fact_more(
    history: History, snapshot: Snapshot, *, kind: str, stream: int, version: int, cause: str | None
) -> World:
    """Add an event of cam-1, heard and committed, with all that counts it."""
    row = snapshot.streams[stream]
    body = json.loads(snapshot.events[2].body)
    about = {**body["data"]["stream"], "id": row.id, "code": row.code, "version": version}
    if kind == "stream.stopped":
        about |= {"status": "stopped", "stopped_at": "2026-01-12T10:00:00.000000Z"}
    body |= {"id": f"e-{row.id}", "type": kind, "sequence": "4", "causationid": cause, "data": {"stream": about}}
    said = json.dumps(body).encode()
    at = about["stopped_at"] or about["created_at"]
    fact = replace(snapshot.events[2], event_id=body["id"], type=kind, sequence=4, body=said, at=at)
    event = Event(message_id=body["id"], type=kind, routing_key=f"{kind}.cam-1", body=said, at_s=99)
    changed = replace(row, **{name: about[name] for name in ("status", "stopped_at", "version")})
    streams = [changed if one.id == row.id else one for one in snapshot.streams]
    return replace(history, events=(*history.events, event)), replace(
        snapshot,
        devices=(replace(snapshot.devices[0], sequence=4), *snapshot.devices[1:]),
        streams=tuple(streams),
        events=(*snapshot.events[:3], fact, *snapshot.events[3:]),
    )


def a_gap_in_the_sequence(history: History, snapshot: Snapshot) -> World:
    """The third fact of cam-1 bears the number 4, everywhere."""
    gap = saying("sequence", "4")
    return all_of(with_heard(2, body=gap), with_event_row(2, sequence=4, body=gap))(history, snapshot)


def two_ids_for_one_fact(history: History, snapshot: Snapshot) -> World:
    twin = replace(history.events[0], message_id=NEW_ID, body=saying("id", NEW_ID)(history.events[0].body))
    return replace(history, events=(*history.events, twin)), snapshot


def a_letter(body: bytes, *, correlation_id: str | None = None, more: int = 1) -> Plant:
    letter = Letter(correlation_id=correlation_id, message_id=None, reason="undecodable", body=body, at_s=99)
    return lambda history, snapshot: (replace(history, letters=(*history.letters, *[letter] * more)), snapshot)


def no_letters(history: History, snapshot: Snapshot) -> World:
    return replace(history, letters=()), snapshot


def another_senders_answer(history: History, snapshot: Snapshot) -> World:
    """Ben asks under a message id that Anna has used, and is told what was told to her."""
    return with_answer(10, body=history.answers[0].body)(history, snapshot)


def told_like(number: int, like: int) -> Plant:
    """One command's answer is another's, on the wire and in the database."""

    def plant(history: History, snapshot: Snapshot) -> World:
        other, key = history.answers[like], history.requests[number].key
        said = {name: getattr(other, name) for name in ("type", "content_type", "body")}
        row = {f"reply_{name}": value for name, value in said.items()}
        handled = tuple(replace(one, **row) if one.key == key else one for one in snapshot.handled)
        return with_answer(number, **said)(history, replace(snapshot, handled=handled))

    return plant


def swapped_correlation_ids(history: History, snapshot: Snapshot) -> World:
    return all_of(with_answer(3, correlation_id="c-5"), with_answer(4, correlation_id="c-4"))(history, snapshot)


I1, I2, I3, I4, I5, I6, I7, I8, I9, I10, I11, I12, I13, I14 = Invariant

PLANTS: dict[str, tuple[Plant, set[Invariant]]] = {
    "a command is lost": (a_command_lost, {I1, I8}),
    "an effect is not remembered": (an_effect_forgotten, {I1, I2}),
    "a nameless command is lost": (with_answers(*range(8), *range(9, 13)), {I1, I8}),
    "a command takes effect twice": (an_effect_twice, {I2}),
    "an effect of nobody's command": (caused_by("m-99"), {I2}),
    "an effect of a command that changed nothing": (caused_by("m-7"), {I2}),
    "an effect without a cause, of a device that no nameless command is for": (an_effect_without_cause, {I2}),
    "a command is remembered of somebody who never asked it": (with_handled_row(2, sender="eve"), {I2, I10}),
    "a command is remembered that nobody asked": (with_handled_row(2, message_id="m-99"), {I2}),
    "a device's latest stream is an older one": (with_device_row(0, latest_stream_id=FIRST_ID), {I2}),
    "a device has forgotten its latest stream": (with_device_row(1, latest_stream_id=None), {I2}),
    "an effect without a cause, and all have names": (with_request(8, message_id="m-9"), {I1, I2}),
    "a change has no event": (a_change_without_event, {I2, I4, I6, I14}),
    "a version is not the number of events": (with_stream_row(2, version=2), {I2}),
    "a device's sequence is not the number of events": (with_device_row(0, sequence=4), {I2}),
    "an event is dropped in the middle": (with_events(0, 2, 3), {I3, I4, I6}),
    "an event is dropped at the end": (with_events(0, 1, 2), {I3}),
    "an event stays unpublished": (with_event_row(0, published_at=None), {I3}),
    "an event is heard that is not committed": (an_event_from_nowhere, {I3}),
    "a second stream is active": (a_second_active_stream, {I2, I4}),
    "two rows are active": (with_stream_row(0, status="active", stopped_at=None), {I4, I5}),
    "a reply is changed": (with_answer(3, body=saying("stream.version", 2)), {I5}),
    "a repeat gets another reply": (with_answer(2, body=saying("outcome", "reused")), {I5}),
    "a repeat gets the reply under another message id": (with_answer(2, message_id="r"), {I5}),
    "a misused message id is refused as if it were not": (with_answer(9, type="stream.reply"), {I5}),
    "a refusal is of the content type of a reply": (with_answer(12, content_type="application/json"), {I5}),
    "a reply is of another content type": (with_answer(3, content_type="text/plain"), {I5}),
    "a stream is shown that is not there": (told_like(1, 0), {I2, I14}),
    "a misused message id is carried out": (with_answer(9, body=saying("code", "not_found")), {I5}),
    "a message id is used for two, and forgotten": (
        all_of(with_answer(9, body=saying("code", "not_found")), forgotten("m-2")),
        {I5},
    ),
    "a stream is shown as it never became": (with_answer(8, body=saying("stream.version", 2)), {I5, I14}),
    "a reply cannot be read": (with_answer(8, body=b"\xff"), {I5, I14}),
    "two events are swapped": (with_events(1, 0, 2, 3), {I6}),
    "a device's numbers have a gap": (a_gap_in_the_sequence, {I6}),
    "an event comes again with other bytes": (
        all_of(with_events(0, 0, 1, 2, 3), with_heard(1, body=saying("causationid", "m-5"))),
        {I7},
    ),
    "one id stands for two facts": (
        all_of(with_events(0, 1, 2, 3, 3), with_heard(4, body=saying("data.stream.version", 2))),
        {I7},
    ),
    "an event is filed under another type": (with_event_row(1, type="stream.created"), {I7}),
    "an event is filed under another time": (with_event_row(1, at="2026-01-12T10:00:00.000000Z"), {I7}),
    "an event is filed under another id": (with_event_row(1, event_id=NEW_ID), {I3, I7}),
    "an event is of another time than its stream": (
        all_of(with_heard(1, body=saying("time", "now")), with_event_row(1, body=saying("time", "now"))),
        {I7},
    ),
    "two ids stand for one fact": (two_ids_for_one_fact, {I3, I4, I6, I7}),
    "an event goes by a wrong routing key": (with_heard(3, routing_key="stream.created.cam-1"), {I7}),
    "a message that is no event": (with_heard(3, body=b"{}"), {I7}),
    "an answer is missing": (with_answers(*range(7), *range(8, 13)), {I8}),
    "an answer comes too late": (with_answer(7, at_s=99.0), {I8}),
    "an answer bears a correlation id of nobody": (with_answer(7, correlation_id="c-0"), {I8}),
    "an answer more, under a correlation id of nobody": (
        all_of(with_answers(*range(13), 7), with_answer(13, correlation_id="c-0")),
        {I8},
    ),
    "two answers bear each other's correlation id": (swapped_correlation_ids, {I5, I8}),
    "a poison is unaccounted for": (no_letters, {I9}),
    "a poison is dead-lettered twice": (a_letter(b"[2]"), {I9}),
    "a poison is answered and dead-lettered": (a_letter(b"[1]"), {I9}),
    "a good command is dead-lettered": (a_letter(b"", correlation_id="c-4"), {I9}),
    "a dead letter of nobody": (a_letter(b"[3]"), {I9}),
    "an answer is heard by another": (with_answer(0, heard_by="ben's app"), {I10}),
    "an answer is another sender's": (another_senders_answer, {I5, I10}),
    "an old state is read": (told_like(10, 3), {I14}),
    "a stream is reused that is stopped": (told_like(5, 3), {I14}),
    "not found, and it was there": (told_like(3, 11), {I14}),
}


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_wrong_is_found_by_its_own_invariant_and_no_other(name: str) -> None:
    plant, expected = PLANTS[name]
    story = short_story()
    result = judged(*plant(story.history, story.snapshot))
    assert cries(result) == expected, str(result)


@pytest.mark.parametrize(
    "plant",
    [
        with_events(0, 1, 0, 1, 2, 2, 3, 0),
        with_answers(*range(13), *range(12)),
        with_request(3, fate=Fate.UNKNOWN),
        all_of(with_request(7, fate=Fate.UNKNOWN), with_answers(*range(7), *range(8, 13))),
        all_of(with_request(7, reply_to=None), with_answers(*range(7), *range(8, 13))),
    ],
    ids=["events again", "answers again", "fate unknown", "unknown and unanswered", "no answer wanted"],
)
def test_what_is_allowed_is_let_be(plant: Plant) -> None:
    story = short_story()
    result = judged(*plant(story.history, story.snapshot))
    assert result.is_good, str(result)


def test_a_retryable_problem_may_come_before_the_answer() -> None:
    story = short_story()
    busy = replace(
        story.history.answers[11],
        correlation_id="c-4",
        at_s=story.history.answers[3].at_s,
        body=b'{"code": "internal", "retryable": true}',
    )
    history = replace(story.history, answers=(busy, *story.history.answers))
    letter = a_letter(b"", correlation_id="c-4")
    result = judged(*letter(history, story.snapshot))
    assert result.is_good, str(result)


def test_a_command_without_a_message_id_explains_as_many_effects_as_it_had_chances() -> None:
    """A second one begins like the first, and nothing tells why: somebody was stopped in between."""
    story = Story()
    for kind, message_id in (("stream.create", None), ("stream.stop", "m-1"), ("stream.create", "m-2")):
        story.ask(kind, CAM_1, message_id=message_id)
    no_cause = saying("causationid", None)
    plant = all_of(
        with_heard(2, body=no_cause),
        with_event_row(2, body=no_cause),
        with_request(2, fate=Fate.UNKNOWN),
        with_answers(0, 1),
        forgotten("m-2"),
    )
    history, snapshot = plant(story.history, story.snapshot)
    delivery = replace(story.seen[0], correlation_id="c-1")
    again = [delivery, delivery, *story.seen]

    assert cries(judged(history, snapshot)) == {I2}
    assert cries(judged(history, snapshot, seen=[delivery, *story.seen])) == {I2}
    assert judged(history, snapshot, seen=again).is_good
    assert judged(history, snapshot, crashes=1).is_good
    assert judged(history, snapshot, reruns=1).is_good
    assert judged(history, snapshot, reruns=math.inf).is_good


def test_nobody_is_answered_at_a_queue_that_was_taken_away() -> None:
    story = short_story()
    history = replace(story.history, answers=story.history.answers[:-3], gone=frozenset({"reply.ben's app"}))
    missing = {v.what.rpartition(" ")[2] for v in judged(history, story.snapshot).violations}
    assert missing == {"c-12", "c-13"}


def test_a_device_that_nobody_was_bound_to_hear_may_have_gaps_and_no_more() -> None:
    story = short_story()
    events = story.history.events
    with_a_gap = replace(story.history, events=(events[0], *events[2:]))
    assert cries(judged(with_a_gap, story.snapshot)) >= {I3, I6}

    unheard = replace(with_a_gap, unheard=frozenset({"cam-1"}))
    swapped = replace(unheard, events=(events[2], events[1], *events[3:]))

    assert judged(unheard, story.snapshot).is_good
    assert I6 in cries(judged(swapped, story.snapshot))


def test_a_poison_may_be_accounted_for_once_more_for_each_crash() -> None:
    story = short_story()
    history, snapshot = a_letter(b"[2]", more=2)(story.history, story.snapshot)
    assert cries(judged(history, snapshot, crashes=1)) == {I9}
    assert judged(history, snapshot, crashes=2).is_good


def test_the_table_counts_what_befell_the_commands() -> None:
    story = short_story()
    plant = all_of(a_command_lost, with_events(1, 0, 2, 3), with_answer(0, heard_by="ben's app"), an_effect_twice)
    result = judged(*plant(story.history, story.snapshot))
    assert (result.lost, result.effects_twice, result.answers_that_differ, result.out_of_order) == (2, 1, 1, 1)
    assert "I6 (a device's events first appear as 1, 2, 3, …): device cam-1: event 2 first appeared" in str(result)


def test_recovery_is_until_the_last_of_the_early_ones_is_answered() -> None:
    story = short_story()
    circumstances = Circumstances(healed_at_s=5.2, within_s=STEP_S)
    assert verdict(story.history, story.snapshot, circumstances).recovery_s == pytest.approx(0.3)


def test_a_record_is_judged_like_what_was_recorded(tmp_path: Path) -> None:
    story = short_story()
    history = replace(story.history, gone=frozenset({"q"}), unheard=frozenset({"cam-1"}))
    written = with_answer(8, body=b"\xff")(history, story.snapshot)
    write_record(tmp_path / "trial.jsonl", *written)
    assert read_record(tmp_path / "trial.jsonl") == written
