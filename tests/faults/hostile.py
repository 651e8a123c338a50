"""Messages that no well-meaning sender writes. The same seed gives the same ones.

Most are small: what trips a decoder over is seldom a matter of size, and 200,000 of them have to be read within
seconds. Nothing here knows what the worker makes of them.
"""

import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.support import raw_amqp as raw

DEVICE: Final = "hostile-"
SECRET: Final = b"s3cr3t-of-the-sender"  # stands in much of what is odd; no answer may quote it
FORGED: Final = b'forged\r\n{"event": "forged.line", "level": "critical"}\n'  # a log line, to a careless logger


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileMessage:
    """One message, in the bytes that a publisher would send: a routing key, a content header and a body."""

    routing_key: bytes
    header: bytes
    body: bytes


# The properties in the order in which they stand in a header, with their flags (AMQP 0-9-1, section 4.2.6.1).
FLAGS: Final = {
    "content_type": 0x8000,
    "content_encoding": 0x4000,
    "headers": 0x2000,
    "delivery_mode": 0x1000,
    "priority": 0x0800,
    "correlation_id": 0x0400,
    "reply_to": 0x0200,
    "expiration": 0x0100,
    "message_id": 0x0080,
    "timestamp": 0x0040,
    "type": 0x0020,
    "user_id": 0x0010,
    "app_id": 0x0008,
    "cluster_id": 0x0004,
}


def header(values: Mapping[str, bytes], body_size: int) -> bytes:
    """The payload of a content header frame, of properties by name, each in its bytes."""
    flags = sum(FLAGS[name] for name in values)
    return raw.header(flags, *(values[name] for name in FLAGS if name in values), body_size=body_size)


TEXTS: Final = (
    b"",
    b" ",
    b"\x00",
    b"a\x00b",
    b"\xff\xfe",
    b"caf\xe9",
    b"\xed\xa0\x80",  # a surrogate, encoded
    b"\xc0\x80",  # an overlong NUL
    b"x" * 128,
    b"x" * 129,
    b"x" * 255,
    "é".encode() * 127,
    "\U0001f600".encode() * 63,
    "\u202egnp.exe \u2028\u2029\ufeff".encode(),
    b"\x1b[2J\x1b]0;owned\x07",
    FORGED,
    SECRET,
    b"%s%n{0}${jndi:ldap://x}",
    b"'; DROP TABLE streams; --",
)

# What stands in the place of a value in JSON; each of them behind `{"device_id": ` or in an unknown member.
VALUES: Final = (
    *(b"NaN", b"Infinity", b"-Infinity", b"nan", b"1e400", b"-1e400", b"1E+99999999999", b"1e-400", b"-0", b"0x1"),
    *(b"9" * 20, b"9" * 400, b"9" * 5_000, b"9" * 400 + b".5", b"9223372036854775808", b"-9223372036854775809"),
    *(rb'"\ud800"', rb'"\udc00"', rb'"\ud800\ud800"', rb'"\ud83d\ude00"', rb'"\uFFFF"', b'"\xed\xa0\x80"'),
    *(rb'"\u0000"', rb'"cam\u0000-1"', rb'"\\\u0000"', rb'"\\u0000"', b'"\x00"', b'"\x01"', b'"\n"', b'"\x7f"'),
    *(b'"\xff"', b'"\xc0\x80"', b'"\xf5\x80\x80\x80"', b'"caf\xe9"', '"é"'.encode(), '"\u0661\u0662"'.encode()),
    *(
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b'" "',
        b'"-cam"',
        b'"cam 1"',
        b'"cam-1\\n"',
        b"17",
        b"1.5",
        b"",
        b"'x'",
    ),
    *(
        b'"' + b"x" * 128 + b'"',
        b'"' + b"x" * 129 + b'"',
        b'"' + SECRET + b'\\t"',
        b'{"a": {"b": [1, {"c": null}]}}',
    ),
    *(b"[" * 150 + b"]" * 150, b'{"a":' * 150 + b"1" + b"}" * 150, b"[" * 2_000 + b"]" * 2_000),
    *(b"[" + b"1," * 500 + b"1]", b'{"' + b"k" * 1_000 + b'": 1}', b'{"a": 1, "a": 2, "a": "' + SECRET + b'"}'),
    *(b'"7K3M9QXA"', b'"7k3m-9qxa"', b'"0199b6e2-7d9c-7c3e-9f0a-5a2f0c6d1b34"', b'"urn:uuid:0199b6e2"'),
)

# Rare, because they are large: the depths and sizes that end a parser which counts on its stack or its patience.
LARGE_BODIES: Final = (
    b'{"device_id": ' + b"[" * 30_000,
    b'{"a":' * 12_000 + b"1" + b"}" * 12_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"device_id": "' + b"x" * 65_000 + b'"}',
    b'{"device_id": [' + b"{}," * 21_000 + b'"\\u0000"]}',
    b'{"device_id": [' + (b"9" * 308 + b",") * 200 + b"1]}",
    b'{"' + b"k" * 65_000 + b'": 1}',
    b"{" + b'"a":1,' * 10_000 + b'"a":1}',
    b" " * 65_537,
    b"\x00" * 65_536,
)

ENCODINGS: Final = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-7")
NAMES: Final = (b"stream.create", b"stream.stop", b"stream.get")
HEADER_NAMES: Final = (
    *(
        b"x-delivery-count",
        b"x-delivery-count",
        b"x-death",
        b"x-streams-reason",
        b"x-streams-user-id",
        b"traceparent",
        b"CC",
        b"BCC",
    ),
    *(b"", b"k", b"\xff\xfe", b"\x00", b"n" * 128, b"n" * 129, b"n" * 255, "é".encode() * 100, FORGED),
)
ADDRESSES: Final = (
    *(b"amq.gen-asker", b"streams.reply.asker", b"amq.rabbitmq.reply-to.g1h2AA5=.eA=="),
    *(
        b"streams.commands",
        b"streams.dead",
        b"amq.rabbitmq.reply-to",
        b"amq.gen-",
        b"streams.reply.\n",
        b"amq.gen-x\x00",
    ),
)

_TIMES: Final = (
    *(0, 1, 1_768_210_200, 1_768_210_200_123, 1_768_210_200_123_456, 2**31, 2**32, 2**53, 2**63 - 1, 2**63),
    *(2**64 - 1, 2**64 - 1_768_210_200, 253_402_300_799, 253_402_300_799_999),
)
_WIDTHS: Final = {
    b"b": 1,
    b"B": 1,
    b"s": 2,
    b"u": 2,
    b"I": 4,
    b"i": 4,
    b"l": 8,
    b"L": 8,
    b"f": 4,
    b"d": 8,
    b"t": 1,
}
_KINDS: Final = (*_WIDTHS, b"D", b"S", b"S", b"T", b"F", b"A", b"x", b"V")
_SPOILT_OFTEN: Final = (*FLAGS, "headers", "headers")
# Around the depth at which a decoder that calls itself gives up, and over the size that is read at all.
_DEEP_TABLES: Final = (
    *(raw.nested(levels) for levels in (100, 300, 450, 480, 500, 600)),
    raw.table((b"a", b"A" + raw.long(b"V" * 3_000))),
    raw.table((b"a", raw.text(b"x" * 16_400))),
)
_DEEP_ONE_IN: Final = 500
_FIXED_BYTES: Final = 12  # of a header, before its flags
_DEEP_MAX: Final = 4
_LARGE_ONE_IN: Final = 4_000


class Hostility:
    """Writes messages. `addresses` are what replies are asked for at, the first one most often."""

    def __init__(self, seed: int, *, addresses: Sequence[bytes] = ADDRESSES) -> None:
        self._chance = random.Random(seed)
        self._addresses = addresses
        self._last = b"", b""
        self._spoilings: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._flip,
            self._cut,
            self._insert,
            self._repeat,
        )

    def messages(self, count: int) -> Iterator[HostileMessage]:
        """Write so many."""
        for _ in range(count):
            yield self.message()

    def message(self) -> HostileMessage:
        chance = self._chance
        body = self._body()
        properties = self._properties()
        if chance.random() < 0.2:
            properties = self._spoilt(properties, self._last[0])
        self._last = properties, body[:2_000]
        return HostileMessage(
            routing_key=chance.choice(TEXTS) if chance.random() < 0.1 else b"cam-1",
            header=struct.pack(">HHQ", raw.BASIC, 0, len(body)) + properties,
            body=body,
        )

    def _properties(self) -> bytes:
        """Flags and values: those of a good command, some of them left out, some odd, some beside the point."""
        values: dict[str, bytes] = {
            "content_type": raw.short(b"application/json"),
            "message_id": raw.short(self._name()),
            "type": raw.short(self._chance.choice(NAMES)),
        }
        if self._chance.random() < 0.6:
            values["reply_to"] = raw.short(self._address())
        if self._chance.random() < 0.5:
            values["correlation_id"] = raw.short(self._name())
        for _ in range(self._chance.choice((0, 0, 0, 1, 1, 2, 3))):
            name = self._chance.choice(_SPOILT_OFTEN)
            if self._chance.random() < 0.2:
                values.pop(name, None)
            else:
                values[name] = self._odd(name)
        return header(values, 0)[_FIXED_BYTES:]

    def _address(self) -> bytes:
        return self._addresses[0] if self._chance.random() < 0.7 else self._chance.choice(self._addresses)

    def _odd(self, name: str) -> bytes:
        chance = self._chance
        match name:
            case "headers":
                return chance.choice(_DEEP_TABLES) if chance.randrange(_DEEP_ONE_IN) == 0 else self._table(0)
            case "delivery_mode" | "priority":
                return chance.randbytes(1)
            case "timestamp":
                return struct.pack(">Q", chance.choice(_TIMES))
            case "expiration":
                return raw.short(chance.choice((b"0", b"60000", b"-1", b"1e3", b"9" * 20, *TEXTS)))
            case "content_type":
                return raw.short(chance.choice(_MEDIA_TYPES))
            case _:
                return raw.short(chance.choice(TEXTS))

    def _table(self, depth: int) -> bytes:
        fields = range(self._chance.choice((0, 1, 1, 2, 3)))
        return raw.table(*((self._chance.choice(HEADER_NAMES), self._field(depth)) for _ in fields))

    def _field(self, depth: int) -> bytes:
        chance = self._chance
        kind = chance.choice(_KINDS)
        if width := _WIDTHS.get(kind):
            return kind + self._edge(width)
        match kind:
            case b"D":
                value = chance.choice((b"\x00", b"\x02", b"\xff")) + self._edge(4)
            case b"T":
                value = struct.pack(">Q", chance.choice(_TIMES))
            case b"F" if depth < _DEEP_MAX:
                value = self._table(depth + 1)
            case b"A" if depth < _DEEP_MAX:
                value = raw.long(b"".join(self._field(depth + 1) for _ in range(chance.randrange(3))))
            case b"S" | b"x":
                value = raw.long(chance.choice(TEXTS))
            case _:
                kind, value = b"V", b""
        return kind + value

    def _edge(self, width: int) -> bytes:
        """A number where numbers end, in so many bytes."""
        rest = width - 1
        edges = (b"\x00" * width, b"\xff" * width, b"\x7f" + b"\xff" * rest, b"\x80" + b"\x00" * rest)
        return self._chance.choice((*edges, self._chance.randbytes(width)))

    def _body(self) -> bytes:
        chance = self._chance
        if chance.randrange(_LARGE_ONE_IN) == 0:
            return chance.choice(LARGE_BODIES)
        body = self._object()
        kind = chance.random()
        if kind < 0.55:
            return body
        if kind < 0.62:
            return body.decode("latin-1").encode(chance.choice(ENCODINGS))
        if kind < 0.68:
            return chance.randbytes(chance.randrange(40))
        return self._spoilt(body, self._last[1])

    def _object(self) -> bytes:
        """An object as a command has it, or one with something odd in it."""
        chance = self._chance
        member = chance.choice((b"device_id", b"device_id", b"device_id", b"stream_id", b"code"))
        kind = chance.random()
        name = self._name()
        if kind < 0.4:
            return b'{"device_id": "' + name + b'"}'
        odd = chance.choice(VALUES)
        if kind < 0.7:
            return b'{"' + member + b'": ' + odd + b"}"
        if kind < 0.8:
            return b'{"device_id": ' + odd + b', "device_id": "' + name + b'"}'
        return b'{"device_id": "' + name + b'", "' + chance.choice(TEXTS) + b'": ' + odd + b"}"

    def _name(self) -> bytes:
        """A name that no other message has."""
        return f"{DEVICE}{self._chance.getrandbits(64):016x}".encode()

    def _spoilt(self, good: bytes, other: bytes) -> bytes:
        if other and self._chance.random() < 0.2:  # the beginning of one and the end of another
            return good[: self._place(good)] + other[self._place(other) :]
        return self._chance.choice(self._spoilings)(good)

    def _place(self, within: bytes) -> int:
        return self._chance.randrange(len(within) + 1)

    def _flip(self, good: bytes) -> bytes:
        spoilt = bytearray(good)
        for _ in range(self._chance.choice((1, 1, 1, 2, 8)) if spoilt else 0):
            spoilt[self._chance.randrange(len(spoilt))] ^= 1 << self._chance.randrange(8)
        return bytes(spoilt)

    def _cut(self, good: bytes) -> bytes:
        return good[: self._place(good)]

    def _insert(self, good: bytes) -> bytes:
        place = self._place(good)
        return good[:place] + self._chance.choice((*TEXTS, self._chance.randbytes(3))) + good[place:]

    def _repeat(self, good: bytes) -> bytes:
        """A piece of it once more: lengths say one thing, and what follows another."""
        start, end = sorted((self._place(good), self._place(good)))
        return good[:end] + good[start:end] + good[end:]


_MEDIA_TYPES: Final = (
    *(b"application/json; charset=utf-8", b'APPLICATION/JSON;charset="UTF-8"', b"application/json;charset=utf-16"),
    *(b"text/plain", b"application/json;" * 15, b"application/json;;;=", b"application/*", b"/", b";"),
    *TEXTS,
)
