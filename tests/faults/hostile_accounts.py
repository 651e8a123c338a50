"""What must have become of hostile messages that went over the wire, and whether it has."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from tests.faults.decoder_path import DecoderPath
from tests.faults.hostile import HostileMessage, Hostility
from worker.domain.commands import ByDevice, Command, CreateStream
from worker.service.messages import Received, Refused, Unreadable

_ONE_OF_RISKY: Final = 8  # each is sent alone, and most end a connection, which takes its time
_BODY_BYTES_MAX: Final = 131_072  # of our brokers
_NO_PROPERTY: Final = 0b11  # the two flags that stand for none; one says that more flags follow
_KEPT: Final = frozenset({"malformed", "unknown_command", "too_large", "unsupported_media_type", "invalid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """How one message ends, if the broker takes it. A silent one leaves its trace in the log or the database."""

    message: HostileMessage
    letter: bool = False
    reply: str | None = None  # its correlation id
    creates: str = ""  # the device, where nobody is told
    expires: bool = False  # then the broker may be faster, and it is a letter of the broker's

    @property
    def is_silent(self) -> bool:
        return not self.letter and self.reply is None


@dataclass(slots=True)
class Plan:
    """Draws messages of which each can be told from all others by its traces, and knows how each has to end."""

    hostility: Hostility
    address: str
    expected: dict[bytes, Expected] = field(default_factory=dict)  # by body
    _path: DecoderPath = field(default_factory=DecoderPath)
    _used: set[object] = field(default_factory=set)
    _risky: int = 0

    def draw(self, count: int) -> Iterator[HostileMessage]:
        """Draw so many more."""
        wanted = len(self.expected) + count
        while len(self.expected) < wanted:
            message = self.hostility.message()
            expected = self._expect(message)
            if expected is not None and not self._is_passed_over(message):
                self.expected[message.body] = expected
                yield message

    def _is_passed_over(self, message: HostileMessage) -> bool:
        self._risky += self.is_risky(message)
        return self.is_risky(message) and self._risky % _ONE_OF_RISKY != 0

    def is_risky(self, message: HostileMessage) -> bool:
        """Whether the broker may end the connection for it: it reads properties too, and is stricter in places."""
        delivery = self._path.read(message).delivery
        properties = delivery.properties
        headers = properties.headers or {}
        numbers = repr(headers)
        if (
            delivery.undecodable
            or len(message.body) > _BODY_BYTES_MAX
            or properties.delivery_mode not in (None, 1, 2)
            or properties.expiration
            or properties.user_id
            or not {"CC", "BCC"}.isdisjoint(headers)
            or "nan" in numbers  # Erlang has no such numbers
            or "inf" in numbers
        ):
            return True
        try:
            return properties.marshal() != message.header[12:]  # it has more than one form, or something left over
        except (TypeError, ValueError, OverflowError):  # it can be read but not written
            return True

    def _expect(self, message: HostileMessage) -> Expected | None:
        """Return None for a message whose traces could be taken for another's, or are nowhere to be seen."""
        if any(
            byte & _NO_PROPERTY for byte in message.header[13:14]
        ):  # the broker reads on as if they were not set
            return None
        read = self._path.read(message)
        expires = bool(read.delivery.properties.expiration)
        made = Expected(message=message, expires=expires)
        match read.incoming:
            case Unreadable():
                made = replace(made, letter=True)
            case Refused(reply_to=None, keep=keep):
                made = replace(made, letter=keep)
            case Received(reply_to=None, command=command):
                made = replace(made, creates=_created(command))
            case Received(reply_to=to) | Refused(reply_to=to):
                if to is None or to.address != self.address:
                    return None
                made = replace(made, reply=to.correlation_id or "")
        traces = {message.body} | _names(read.incoming) | ({made.reply} if made.reply is not None else set())
        if not self._used.isdisjoint(traces):
            return None
        self._used |= traces
        return made


def _created(command: Command) -> str:
    return command.device_id if isinstance(command, CreateStream) else ""


def _names(incoming: Received | Refused | Unreadable) -> set[object]:
    """What must be nobody else's, or the one command would change what becomes of the other."""
    if not isinstance(incoming, Received):
        return set()
    names: set[object] = {incoming.key} if incoming.key else set()
    command = incoming.command
    if isinstance(command, CreateStream):
        return names | {("device", command.device_id)}
    if isinstance(command.selector, ByDevice):
        return names | {("device", command.selector.device_id)}
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The traces, after everything is worked off."""

    letters: Counter[bytes]  # by body
    replies: Counter[str]  # by correlation id
    devices: Collection[str]
    refused_unasked: int  # and not kept either

    @staticmethod
    def refusals_in(log: str) -> int:
        """Count the lines of refusals that left no letter. Raises ValueError where a line is no JSON."""
        lines = [json.loads(line) for line in log.splitlines()]
        return sum(line["event"] == "command.refused_unasked" and line["code"] not in _KEPT for line in lines)


def unaccounted(
    expected: dict[bytes, Expected],
    found: Found,
    *,
    accepted: Sequence[HostileMessage],
    unknown: Sequence[HostileMessage],
) -> list[str]:
    """Return what does not add up; of what the broker has not said a word to, nothing or one trace is right."""
    sure = [expected[message.body] for message in accepted]
    unsure = [expected[message.body] for message in unknown]
    complaints = [complaint for one in sure if (complaint := _wrong(one, found, least=1))]
    complaints += [complaint for one in unsure if (complaint := _wrong(one, found, least=0))]
    letters, replies = +found.letters, +found.replies
    letters -= Counter(one.message.body for one in (*sure, *unsure))
    replies -= Counter(one.reply for one in (*sure, *unsure) if one.reply is not None)
    complaints += [f"a letter of nothing accepted: {body[:80]!r}" for body in letters]
    complaints += [f"a reply to nothing accepted: {reply!r}" for reply in replies]
    return complaints + list(_silent_ones(sure, unsure, found))


def _wrong(one: Expected, found: Found, *, least: int) -> str:
    letters = found.letters[one.message.body]
    replies = 0 if one.reply is None else found.replies[one.reply]
    ends = letters + replies
    if one.is_silent:
        least = 0
    if not one.letter and letters and not one.expires:
        return f"a letter where none was expected: {one.message}"
    most = 1 if one.letter or one.reply is not None or one.expires else 0
    return "" if least <= ends <= most else f"{letters} letters and {replies} replies: {one.message}"


def _silent_ones(sure: Sequence[Expected], unsure: Sequence[Expected], found: Found) -> Iterator[str]:
    """A silent one has made its device, or there is a line in the log that says why not, or it has expired."""
    made = {one.creates for one in (*sure, *unsure) if one.creates in found.devices and one.is_silent}
    least = sum(one.is_silent and not one.expires for one in sure)
    most = sum(one.is_silent for one in (*sure, *unsure))
    if not least <= len(made) + found.refused_unasked <= most:
        yield f"{len(made)} devices and {found.refused_unasked} refusals; {least} to {most} silent messages"
