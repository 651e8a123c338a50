"""Bytes to `Received`, `Refused` or `Unreadable`: everything in the contract's order of checks that needs no
database. A pure function of the message, the clock and the sender's rate, and never an exception.
"""

import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

import schemas
from schemas import CommandName, Problem, ProblemCode
from worker.amqp.codec.admission import Admission
from worker.amqp.codec.json_body import Malformed, read_object
from worker.amqp.codec.media import is_json
from worker.amqp.codec.render import problem_answer
from worker.amqp.codec.reply_address import ReplyAddresses
from worker.amqp.delivery import AmqpDelivery
from worker.domain.commands import ByCode, ByDevice, ById, Command, CreateStream, GetStream, Selector, StopStream
from worker.service.messages import Identity, Incoming, MessageKey, Received, Refused, ReplyTo, Unreadable

log = logging.getLogger(__name__)

UNDECODABLE: Final = "undecodable"
REPLY_TO_NOT_ALLOWED: Final = "reply_to_not_allowed"

# Refusals for which somebody should be able to see the message, when nobody asked for an answer.
_KEPT_STATUSES: Final = frozenset({400, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class _NotFit(Exception):
    problem: Problem


class Decoder:
    """Reads deliveries. One for all: nothing is kept between calls but how fast each sender asks."""

    def __init__(self, *, addresses: ReplyAddresses, admission: Admission) -> None:
        self._addresses = addresses
        self._admission = admission

    def __call__(self, delivery: AmqpDelivery) -> Incoming:
        """Return what the delivery is. Never raises: a message that trips a library over must not end the worker,
        and be delivered again, and end the next one.
        """
        try:
            return self._read(delivery)
        except Exception as error:
            log.exception("message.tripped_the_decoder")
            return Unreadable(delivery=delivery, reason=UNDECODABLE, detail=type(error).__name__)

    def _read(self, delivery: AmqpDelivery) -> Incoming:
        """The first check that applies decides."""
        if delivery.undecodable:
            return Unreadable(delivery=delivery, reason=UNDECODABLE, detail=delivery.undecodable)
        address = delivery.properties.reply_to
        if address and not self._addresses.allows(address):
            return Unreadable(
                delivery=delivery,
                reason=REPLY_TO_NOT_ALLOWED,
                detail="Allowed are direct reply-to, server-named queues, and what the settings say.",
            )
        try:
            return self._received(delivery)
        except _NotFit as not_fit:
            return _refused(delivery, not_fit.problem)

    def _received(self, delivery: AmqpDelivery) -> Received:
        _check_size(delivery.body)
        _check_media_type(delivery)
        name = _command_name(delivery.properties.message_type)
        command = _command(name, delivery.body)
        identity = _identity(delivery, name)
        if problem := self._admission.objection(delivery, command):
            raise _NotFit(problem)
        return Received(
            delivery=delivery,
            command=command,
            identity=identity,
            reply_to=_reply_to(delivery),
            only_for=self._admission.only_for(delivery, command),
        )


def _check_size(body: bytes) -> None:
    if len(body) > schemas.BODY_BYTES_MAX:
        detail = f"The body has {len(body)} bytes; at most {schemas.BODY_BYTES_MAX} are read."
        raise _NotFit(Problem.make(ProblemCode.TOO_LARGE, detail))


def _check_media_type(delivery: AmqpDelivery) -> None:
    if not is_json(delivery.properties.content_type, delivery.properties.content_encoding):
        detail = "Send content_type application/json in UTF-8, without a content_encoding."
        raise _NotFit(Problem.make(ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail))


def _command_name(written: str | None) -> CommandName:
    try:
        return CommandName(written or "")
    except ValueError:
        detail = f"The AMQP property type must be one of {', '.join(CommandName)}."
        raise _NotFit(Problem.make(ProblemCode.UNKNOWN_COMMAND, detail)) from None


def _command(name: CommandName, body: bytes) -> Command:
    try:
        parsed = read_object(body)
    except Malformed as malformed:
        raise _NotFit(Problem.make(ProblemCode.MALFORMED, str(malformed))) from None
    try:
        read = schemas.COMMANDS[name].validate_python(parsed)
    except ValidationError as error:
        errors = schemas.field_errors(error)
        raise _NotFit(
            Problem.make(ProblemCode.INVALID, "The body does not fit the command.", errors=errors)
        ) from None
    return _to_domain(read)


def _to_domain(read: schemas.Command) -> Command:
    match read:
        case schemas.CreateStream():
            return CreateStream(device_id=read.device_id)
        case schemas.StopStream():
            return StopStream(selector=_selector(read))
        case schemas.GetStream():
            return GetStream(selector=_selector(read))


def _selector(read: schemas.StopStream | schemas.GetStream) -> Selector:
    if read.code is not None:
        return ByCode(code=read.code)
    if read.stream_id is not None:
        return ById(stream_id=read.stream_id)
    return ByDevice(device_id=read.device_id or "")


def _identity(delivery: AmqpDelivery, name: CommandName) -> Identity | None:
    """The key of a repeat. An empty message id is none."""
    message_id, sender = delivery.properties.message_id, delivery.properties.user_id or ""
    if len(message_id or "") > schemas.MESSAGE_ID_CHARS_MAX or "\x00" in (message_id or "") or "\x00" in sender:
        detail = (
            f"The AMQP property message_id must have at most {schemas.MESSAGE_ID_CHARS_MAX} characters, "
            "and neither it nor user_id may contain U+0000."
        )
        raise _NotFit(Problem.make(ProblemCode.INVALID, detail))
    if not message_id:
        return None
    digest = hashlib.sha256(name.encode() + b"\x00" + delivery.body).digest()
    return Identity(key=MessageKey(sender=sender, message_id=message_id), digest=digest)


def _reply_to(delivery: AmqpDelivery) -> ReplyTo | None:
    properties = delivery.properties
    if not properties.reply_to:
        return None
    return ReplyTo(address=properties.reply_to, correlation_id=properties.correlation_id or properties.message_id)


def _refused(delivery: AmqpDelivery, problem: Problem) -> Refused:
    message_id = delivery.properties.message_id
    return Refused(
        delivery=delivery,
        answer=problem_answer(problem),
        detail=problem.detail,
        key=MessageKey(sender=delivery.properties.user_id or "", message_id=message_id) if message_id else None,
        reply_to=_reply_to(delivery),
        keep=problem.status in _KEPT_STATUSES,
    )
