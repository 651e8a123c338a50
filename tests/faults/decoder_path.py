"""The whole way of a message in, and of what becomes of it out, without a broker; and all that must hold of it."""

import json
import math
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from aiormq.abc import DeliveredMessage
from pamqp import encode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

import schemas
from tests.faults.hostile import DEVICE, SECRET, HostileMessage
from tests.support import raw_amqp as raw
from tests.support.deliveries import decoder
from worker.amqp import guard
from worker.amqp.codec.decode import UNDECODABLE
from worker.amqp.dead_letters import DeadLetters
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.guard import HEADER_BYTES_MAX, Undecodable
from worker.amqp.messages import WireFormat, WireMessage
from worker.amqp.topology import topology
from worker.domain.commands import ByCode, ByDevice, ById, Command, CreateStream
from worker.service.messages import Answer, DeadLetter, Incoming, Received, Refused, Reply, ReplyTo, Unreadable

_NOW: Final = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)
_CODE: Final = re.compile(schemas.limits.CODE_PATTERN)
# Basic.Deliver up to its last argument, the routing key; by whether it is a redelivery.
_BEFORE_KEY: Final = tuple(
    raw.short(b"ctag1.x") + struct.pack(">QB", 1, redelivered) + raw.short(b"streams.commands")
    for redelivered in (False, True)
)
_NOT_KEPT: Final = frozenset({"CC", "BCC", "x-delivery-count"})
# Of what is nearly the same each time, one in so many is looked at.
_LETTERS_READ_EACH: Final = 16
_ALIKE_EACH: Final = 8
_AN_ANSWER: Final = Answer(type="stream.reply", content_type="application/json", body=b"{}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a message was read as, and the delivery that it came in."""

    delivery: AmqpDelivery
    incoming: Incoming


class DecoderPath:
    """Reads messages as the worker does, from what is in the frames on, and writes what it would say."""

    def __init__(self) -> None:
        guard.install()
        self._decode = decoder()
        self._letters = self._replies = self._unreadable = 0
        self._problems: set[bytes] = set()
        self._wire = WireFormat(topology("streams"), DeadLetters(worker_name="tested", clock=lambda: _NOW))

    def read(self, message: HostileMessage, *, redelivered: bool = False) -> Read:
        """Read what is in the frames of the method and of the header, and decode the delivery."""
        deliver, header = Basic.Deliver(), ContentHeader()
        deliver.unmarshal(_BEFORE_KEY[redelivered] + raw.short(message.routing_key))
        header.unmarshal(message.header)
        assert header.body_size == len(message.body), "the frames behind it would be read as something else"
        delivery = AmqpDelivery.of(
            DeliveredMessage(delivery=deliver, header=header, body=message.body, channel=None)  # type: ignore[arg-type]
        )
        return Read(delivery=delivery, incoming=self._decode(delivery))

    def check(self, read: Read) -> None:
        """Hold what was read against what must hold of any message. Raises AssertionError."""
        match read.incoming:
            case Received() as received:
                _check_command(received.command)
                _check_body(read.delivery.body)
                _check_identity(received)
                _check_reply_to(received.reply_to)
                if read.delivery.properties.headers:  # seldom is one, and without headers all are alike
                    self._check_letter(read.delivery, "internal", "It failed.")
            case Refused() as refused:
                self._check_problem(refused.answer)
                _check_reply_to(refused.reply_to)
                if refused.keep and refused.reply_to is None:
                    self._check_letter(read.delivery, refused.answer.problem or "", refused.detail)
            case Unreadable() as unreadable:
                has_tripped = unreadable.reason == UNDECODABLE and not read.delivery.undecodable
                assert not has_tripped, f"it tripped the decoder over: {unreadable.detail}"
                self._unreadable += 1
                if not read.delivery.undecodable or self._unreadable % _ALIKE_EACH == 0:
                    self._check_letter(read.delivery, unreadable.reason, unreadable.detail)
        assert read.incoming.delivery is read.delivery
        self._check_reply(read.incoming)

    def _check_problem(self, answer: Answer) -> None:
        assert SECRET not in answer.body, "an answer quotes what was sent"
        if answer.body not in self._problems:  # there are not many different ones
            self._problems.add(answer.body)
            assert schemas.read_problem(answer.body).code == answer.problem

    def _check_reply(self, incoming: Incoming) -> None:
        if isinstance(incoming, Unreadable) or incoming.reply_to is None:
            return
        self._replies += 1
        if (incoming.reply_to.correlation_id or "").startswith(DEVICE) and self._replies % _ALIKE_EACH:
            return
        answer = incoming.answer if isinstance(incoming, Refused) else _AN_ANSWER
        reply_id = str(UUID(int=1))
        reply = Reply(delivery=incoming.delivery, to=incoming.reply_to, message_id=reply_id, answer=answer)
        _written(self._wire.of(reply))

    def _check_letter(self, delivery: AmqpDelivery, reason: str, detail: str) -> None:
        """A letter can be written, is read again by our own guard, and is routed nowhere but to the dead."""
        wired = self._wire.of(DeadLetter(delivery=delivery, reason=reason, detail=detail))
        payload = _written(wired)
        assert len(payload) <= HEADER_BYTES_MAX
        assert (wired.exchange, wired.body) == ("streams.dead", delivery.body)
        self._letters += 1
        if delivery.properties.headers or self._letters % _LETTERS_READ_EACH == 0:
            _check_letter_again(payload, reason)


def _check_letter_again(payload: bytes, reason: str) -> None:
    """Read a letter as whoever looks at it does."""
    again = ContentHeader()
    again.unmarshal(payload)
    assert not isinstance(again.properties, Undecodable), again.properties.reason
    headers = again.properties.headers or {}
    assert headers["x-streams-reason"] == reason
    assert isinstance(headers["x-streams-attempts"], int)
    assert headers["x-streams-attempts"] > 0
    assert _NOT_KEPT.isdisjoint(headers)
    assert (again.properties.user_id, again.properties.expiration) == (None, None)


def _written(message: WireMessage) -> bytes:
    """Write what aiormq would of a message; return the payload of its header's frame."""
    encode.short_string(message.exchange)
    encode.short_string(message.routing_key)
    return ContentHeader(body_size=len(message.body), properties=message.properties).marshal()


def _check_command(command: Command) -> None:
    """Its values are such that both databases take them."""
    selector = ByDevice(device_id=command.device_id) if isinstance(command, CreateStream) else command.selector
    match selector:
        case ByDevice(device_id=device_id):
            assert schemas.is_device_id(device_id)
        case ById(stream_id=stream_id):
            assert type(stream_id) is UUID
        case ByCode(code=code):
            assert _CODE.fullmatch(code)


def _check_body(body: bytes) -> None:
    """What was read as JSON is JSON to a reader that takes its time, and holds nothing that we refuse."""
    parsed = json.loads(body.decode(), parse_constant=_no_constant)  # raises at a BOM
    rest = [parsed]
    while rest:
        match rest.pop():
            case dict(members):
                rest += [*members, *members.values()]
            case list(items):
                rest += items
            case str(text):
                assert "\x00" not in text
                text.encode()  # a lone surrogate raises
            case float(number):
                assert math.isfinite(number)
            case _:
                pass


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} was read as a number")


def _check_identity(received: Received) -> None:
    if received.identity is None:
        return
    key = received.identity.key
    assert 0 < len(key.message_id) <= schemas.MESSAGE_ID_CHARS_MAX
    for text in (key.message_id, key.sender):
        assert "\x00" not in text
        text.encode()  # a lone surrogate raises
    assert len(received.identity.digest) == 32


def _check_reply_to(to: ReplyTo | None) -> None:
    if to is not None:
        assert 0 < len(to.address.encode()) <= 255
        assert len((to.correlation_id or "").encode()) <= 255
