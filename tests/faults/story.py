"""A history that is right by construction: a worker without faults, which takes one command at a time.

Its decisions are the model's; its bytes are its own. The checkers are tried on it, whole and with something wrong.
"""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from tests.faults.checks.verdict import Circumstances
from tests.faults.history import Answer, Event, Fate, History, Letter, Request
from tests.faults.snapshot import DeviceRow, EventRow, HandledRow, Snapshot, StreamRow
from tests.faults.wire_log import Direction, Seen
from tests.support.model import Ask, Model, Told, Verb

_MEDIA = {"stream.reply": "application/json", "stream.problem": "application/problem+json"}
_VERBS: Mapping[str, Verb] = {"stream.create": "create", "stream.stop": "stop", "stream.get": "get"}
STEP_S = 1.0


class Story:
    """Goes on with every command. A second passes between two, and an answer takes half of one."""

    def __init__(self) -> None:
        self._model = Model()
        self._streams: list[dict[str, Any]] = []
        self._requests: list[Request] = []
        self._answers: list[Answer] = []
        self._letters: list[Letter] = []
        self._events: list[Event] = []
        self._rows: list[EventRow] = []
        self._handled: dict[tuple[str, str], HandledRow] = {}
        self.seen: list[Seen] = []

    def ask(
        self,
        kind: str,
        body: Mapping[str, str],
        *,
        message_id: str | None = None,
        sender: str = "anna",
        asker: str = "anna's app",
    ) -> dict[str, Any]:
        """Carry a command out and answer it; return the answer's content."""
        said = json.dumps(body).encode()
        request = self._request(kind, said, message_id=message_id, sender=sender, asker=asker)
        facts = {device_id: len(facts) for device_id, facts in self._model.facts.items()}
        told = self._model.answer(self._meant(kind, body), sender=sender, message_id=message_id, said=said)
        for device_id, all_facts in self._model.facts.items():
            if len(all_facts) > facts.get(device_id, 0):
                self._happen(device_id, len(all_facts), told, cause=message_id)
        row = self._handled.get((sender, message_id or ""))
        is_repeat = row is not None and told[0] != "message_id_reused"
        reply = row.reply_body if row and is_repeat else json.dumps(self._reply(told)).encode()
        if message_id and row is None:
            self._remember(request, told, reply)
        self._say(request, "stream.reply" if told[1] else "stream.problem", reply)
        content: dict[str, Any] = json.loads(reply)
        return content

    def send_poison(self, body: bytes, *, is_answered: bool) -> None:
        """Refuse a message that nobody can carry out, or dead-letter it."""
        request = self._request("stream.create", body, message_id=None, sender="eve", asker="eve", is_poison=True)
        if is_answered:
            self._say(request, "stream.problem", json.dumps({"code": "malformed", "retryable": False}).encode())
            return
        letter = Letter(
            correlation_id=None, message_id=None, reason="undecodable", body=body, at_s=self.now_s + STEP_S / 2
        )
        self._letters.append(letter)

    @property
    def now_s(self) -> float:
        return len(self._requests) * STEP_S

    @property
    def history(self) -> History:
        return History(
            requests=tuple(self._requests),
            answers=tuple(self._answers),
            events=tuple(self._events),
            letters=tuple(self._letters),
        )

    @property
    def snapshot(self) -> Snapshot:
        streams = tuple(StreamRow(**stream) for stream in self._streams)
        latest = {stream.device_id: stream.id for stream in streams}
        return Snapshot(
            devices=tuple(
                DeviceRow(id=device_id, sequence=len(facts), latest_stream_id=latest[device_id])
                for device_id, facts in self._model.facts.items()
            ),
            streams=streams,
            events=tuple(self._rows),
            handled=tuple(self._handled.values()),
        )

    @property
    def circumstances(self) -> Circumstances:
        return Circumstances(healed_at_s=0, within_s=STEP_S, seen=self.seen)

    def _request(self, kind: str, body: bytes, **who: Any) -> Request:
        correlation_id = f"c-{len(self._requests) + 1}"
        self._requests.append(
            Request(
                correlation_id=correlation_id,
                kind=kind,
                body=body,
                reply_to=f"reply.{who['asker']}",
                at_s=self.now_s + STEP_S,
                fate=Fate.CONFIRMED,
                **who,
            )
        )
        self._see(Direction.TO_WORKER, "Basic.Deliver", len(self._requests), who["message_id"])
        return self._requests[-1]

    def _meant(self, kind: str, body: Mapping[str, str]) -> Ask:
        numbers = {name: n for n, stream in enumerate(self._streams) for name in (stream["id"], stream["code"])}
        meant = body["device_id"] if "device_id" in body else numbers.get(next(iter(body.values())))
        return Ask(verb=_VERBS[kind], meant=meant)

    def _happen(self, device_id: str, sequence: int, told: Told, *, cause: str | None) -> None:
        stream = self._changed(told)
        event_id = str(uuid.uuid5(uuid.UUID(int=0), f"{stream['id']}:{stream['version']}"))
        kind = f"stream.{told[0]}"
        content = {"id": event_id, "type": kind, "sequence": str(sequence), "data": {"stream": stream}}
        body = json.dumps(content | ({"causationid": cause} if cause else {})).encode()
        at = self._time()
        self._rows.append(
            EventRow(
                device_id=device_id,
                sequence=sequence,
                event_id=event_id,
                type=kind,
                body=body,
                at=at,
                published_at=at,
            )
        )
        routing_key = f"{kind}.{device_id}"
        event = Event(message_id=event_id, type=kind, routing_key=routing_key, body=body, at_s=self.now_s)
        self._events.append(event)
        self._publish(event_id)

    def _changed(self, told: Told) -> dict[str, Any]:
        """Bring our stream to where the model's is."""
        number, device_id, status, version = told[1] or (0, "", "", 0)
        if number == len(self._streams):
            born = {"id": str(uuid.UUID(int=number + 1)), "device_id": device_id, "code": f"C{number:07d}"}
            self._streams.append({**born, "created_at": self._time(), "stopped_at": None})
        stream = self._streams[number]
        stream |= {"status": status, "version": version}
        if status == "stopped":
            stream["stopped_at"] = self._time()
        return dict(stream)

    def _reply(self, told: Told) -> dict[str, Any]:
        if told[1] is None:
            return {"code": told[0], "retryable": False}
        return {"outcome": told[0], "stream": self._streams[told[1][0]]}

    def _remember(self, request: Request, told: Told, reply: bytes) -> None:
        kind = "stream.reply" if told[1] else "stream.problem"
        self._handled[request.sender, request.message_id or ""] = HandledRow(
            sender=request.sender,
            message_id=request.message_id or "",
            digest=bytes(32),
            reply_type=kind,
            reply_content_type=_MEDIA[kind],
            reply_body=reply,
            reply_problem=None if told[1] else told[0],
            handled_at=self._time(),
        )

    def _say(self, request: Request, kind: str, body: bytes) -> None:
        own = request.message_id or request.correlation_id
        message_id = str(uuid.uuid5(uuid.UUID(int=1), f"{request.sender} {own} {body!r}"))
        self._answers.append(
            Answer(
                heard_by=request.asker,
                correlation_id=request.correlation_id,
                message_id=message_id,
                type=kind,
                content_type=_MEDIA[kind],
                body=body,
                at_s=request.at_s + STEP_S / 2,
            )
        )
        self._publish(message_id)
        self._see(Direction.TO_BROKER, "Basic.Ack", len(self._requests))

    def _publish(self, message_id: str) -> None:
        tag = sum(seen.method == "Basic.Publish" for seen in self.seen) + 1
        self._see(Direction.TO_BROKER, "Basic.Publish", tag, message_id)
        self._see(Direction.TO_WORKER, "Basic.Ack", tag, connection="out/1")

    def _see(
        self,
        direction: Direction,
        method: str,
        tag: int,
        message_id: str | None = None,
        *,
        connection: str | None = None,
    ) -> None:
        self.seen.append(
            Seen(
                at_s=self.now_s + len(self.seen) / 1_000_000,
                connection=connection or ("out/1" if method == "Basic.Publish" else "in/1"),
                direction=direction,
                method=method,
                delivery_tag=tag,
                message_id=message_id,
            )
        )

    def _time(self) -> str:
        return f"2026-01-12T{len(self._requests) // 3600:02d}:{len(self._requests) // 60 % 60:02d}:00.000000Z"
