"""Any sequence of commands, repeats, batch sizes and faults gives what one command at a time would give."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from typing_extensions import override

from tests.support.failing_store import FailingStore
from tests.support.fake_broker import FakeBroker, Fate
from tests.support.fakes_store import FakeStore
from tests.support.making import by_code, content_of, create, get, received, stop
from tests.support.model import Ask, Fact, Model, Told
from tests.support.worker_in_memory import Hurry, WorkerInMemory, outbox
from worker.domain.commands import Command
from worker.service.messages import Answer, Received, Reply, StoredEvent
from worker.service.outbox import ParkingPolicy
from worker.service.ports import CommitUnknown, StoreConflict, StoreUnavailable
from worker.service.process import Flow
from worker.service.relay import RelayPolicy

DEVICES = st.sampled_from(["cam-1", "cam-2", "cam-3"])
SENDERS = st.sampled_from(["", "anna", "ben"])
STREAMS = st.none() | st.integers(min_value=0, max_value=7)
NEVER_MADE = (UUID(int=0), "ZZZZZZZZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command that was sent, in the words of both worlds."""

    ask: Ask
    message: Received
    sender: str
    message_id: str | None
    said: bytes


class AnySequence(RuleBasedStateMachine):
    """Sends commands, disturbs the world, lets the worker work, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model = Model()
        self.broker = FakeBroker()
        self.store = FailingStore(FakeStore())
        self.fates: deque[Fate] = deque()
        self.broker.fate = lambda _: self.fates.popleft() if self.fates else Fate.CONFIRMED
        self.sent: list[Sent] = []
        self.pending: list[Sent] = []
        self.names: list[tuple[UUID, str]] = []  # the id and the code of each stream, by its number

    @initialize(
        batch_max=st.integers(1, 9), sweep=st.integers(1, 4), retries=st.integers(0, 2), is_certain=st.booleans()
    )
    def begin(self, batch_max: int, sweep: int, retries: int, *, is_certain: bool) -> None:
        self.is_certain = is_certain  # nothing ends unknown: then even what has no message id happens only once
        self.worker = WorkerInMemory(
            store=self.store,
            broker=self.broker,
            flow=Flow(batch_max=batch_max, idle_s=0.001),
            policy=RelayPolicy(worker="w-1", interval_s=0, grace_s=0, limit=sweep),
            parking=ParkingPolicy(after=2, rest_s=600),
            event_retries=retries,
            clock=Hurry(),
        )

    @rule(device_id=DEVICES, sender=SENDERS, is_keyed=st.booleans())
    def create(self, device_id: str, sender: str, *, is_keyed: bool) -> None:
        self._send(Ask(verb="create", meant=device_id), create(device_id), sender, is_keyed=is_keyed)

    @rule(device_id=DEVICES, verb=st.sampled_from(["stop", "get"]), sender=SENDERS, is_keyed=st.booleans())
    def by_device(self, device_id: str, verb: Any, sender: str, *, is_keyed: bool) -> None:
        make = stop if verb == "stop" else get
        self._send(Ask(verb=verb, meant=device_id), make(device_id), sender, is_keyed=is_keyed)

    @rule(number=STREAMS, verb=st.sampled_from(["stop", "get"]), is_code=st.booleans(), is_keyed=st.booleans())
    def by_stream(self, number: int | None, verb: Any, *, is_code: bool, is_keyed: bool) -> None:
        meant = number if number is not None and number < len(self.names) else None
        id_, code = NEVER_MADE if meant is None else self.names[meant]
        make = stop if verb == "stop" else get
        self._send(
            Ask(verb=verb, meant=meant), make(by_code(code)) if is_code else make(id_), "", is_keyed=is_keyed
        )

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        first = data.draw(st.sampled_from(self.sent))
        if first.message_id:
            self._put(first.ask, first.message.command, first.sender, first.message_id, first.said)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), device_id=DEVICES, sender=SENDERS, said=st.sampled_from([b"1", b"2"]))
    def reuse(self, data: st.DataObject, device_id: str, sender: str, said: bytes) -> None:
        first = data.draw(st.sampled_from(self.sent))
        if first.message_id:
            ask = Ask(verb="create", meant=device_id)
            self._put(ask, create(device_id), sender, first.message_id, said)

    @rule(fates=st.lists(st.sampled_from(Fate), max_size=8))
    def disturb_the_broker(self, fates: list[Fate]) -> None:
        unknown = {Fate.LOST, Fate.UNSURE}
        self.fates.extend(fate for fate in fates if not (self.is_certain and fate in unknown))

    @rule(error=st.sampled_from([StoreConflict, StoreUnavailable, CommitUnknown]), saved=st.booleans())
    def disturb_the_database(self, error: type[Exception], *, saved: bool) -> None:
        self.store.fail_next(error("told to"), saved=saved and error is CommitUnknown and not self.is_certain)

    @rule(turns=st.integers(0, 20))
    def slow_the_broker_down(self, turns: int) -> None:
        self.broker.confirming = turning(turns)

    @rule(turns=st.integers(0, 20))
    def slow_the_database_down(self, turns: int) -> None:
        self.store.meanwhile = turning(turns)

    @rule(batch_max=st.integers(1, 9))
    def work(self, batch_max: int) -> None:
        self.worker.flow = Flow(batch_max=batch_max, idle_s=0.001)
        self.broker.send(*(sent.message for sent in self.pending))
        self._run(self.worker.work_off())
        for sent in self.pending:
            self._check_reply(sent)
        self.pending.clear()
        self._check_events()

    @override
    def teardown(self) -> None:
        """Whatever happened, in the end everything is said and marked."""
        with self.runner:
            self.fates.clear()
            self.work(batch_max=9)
            facts = sum(map(len, self.model.facts.values()))
            self._run(self.worker.work_until(lambda: len(set(self.broker.arrived(StoredEvent))) == facts))
            self._check_events()
            self.store.recover()
            self._run(self.worker.work_off())
            assert self._run(outbox(self.store)) == []

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def _send(self, ask: Ask, command: Command, sender: str, *, is_keyed: bool) -> None:
        message_id = f"m-{len(self.sent)}" if is_keyed or not self.is_certain else None
        self._put(ask, command, sender, message_id, repr(command).encode())

    def _put(self, ask: Ask, command: Command, sender: str, message_id: str | None, said: bytes) -> None:
        message = received(
            command, message_id=message_id, sender=sender, said=said, reply_to=f"amq.gen-{len(self.sent)}"
        )
        sent = Sent(ask=ask, message=message, sender=sender, message_id=message_id, said=said)
        self.sent.append(sent)
        self.pending.append(sent)

    def _check_reply(self, sent: Sent) -> None:
        expected = self.model.answer(sent.ask, sender=sent.sender, message_id=sent.message_id, said=sent.said)
        replies = [reply for reply in self.broker.published(Reply) if reply.to == sent.message.reply_to]
        assert replies, "every command is answered"
        assert len({(reply.answer, reply.message_id) for reply in replies}) == 1, "and never in two ways"
        assert self._told(replies[0].answer) == expected

    def _told(self, answer: Answer) -> Told:
        content = content_of(answer)
        if answer.problem:
            return content["code"], None
        stream = content["stream"]
        about = (self._number(stream), stream["device_id"], stream["status"], stream["version"])
        return content["outcome"], about

    def _number(self, stream: dict[str, Any]) -> int:
        name = (UUID(stream["id"]), stream["code"])
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def _check_events(self) -> None:
        """A device's facts, as a subscriber sees them for the first time, are the model's from the beginning."""
        first_seen: dict[str, list[Fact]] = {}
        bodies: dict[UUID, bytes] = {}
        for event in self.broker.arrived(StoredEvent):
            assert bodies.setdefault(event.id, event.body) == event.body, "one fact, one wording"
            facts = first_seen.setdefault(event.device_id, [])
            if event.sequence > len(facts):
                assert event.sequence == len(facts) + 1, "no gap, and in order"
                facts.append(self._fact(event))
        for device_id, facts in first_seen.items():
            assert facts == self.model.facts[device_id][: len(facts)]

    def _fact(self, event: StoredEvent) -> Fact:
        content = json.loads(event.body)
        stream = content["data"]["stream"]
        return content["type"], self._number(stream), stream["version"], content.get("causationid")


def turning(turns: int) -> Callable[[], Awaitable[None]]:
    async def turn() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    return turn


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=40, stateful_step_count=30)
