"""Text from elsewhere, made fit to be shown: no passwords, no forged lines, no end in sight."""

import math
import re
from collections.abc import Mapping
from typing import Final
from unicodedata import category

TEXT_CHARS_MAX: Final = 1_024
"""Enough for any name or reason of ours; what is longer came from a stranger."""

TRACE_CHARS_MAX: Final = 16_384
"""A traceback's end says what happened, so it is the beginning that goes."""

_ITEMS_MAX: Final = 32
_DEPTH_MAX: Final = 3

_ADDRESS: Final = re.compile(r"://\S+")
# Control and format characters, which move the cursor or turn text around, and what else ends a line.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def without_passwords(text: str) -> str:
    """Mask user and password in every address in a text; also where they are not written as they should be.

    >>> without_passwords("no answer from amqp://worker:hunter2@broker.example/streams")
    'no answer from amqp://***@broker.example/streams'
    """
    return _ADDRESS.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    secret, at, rest = found[0].rpartition("@")  # the last one: a password may hold an @ that should be %40
    return f"://***@{rest}" if at and ":" in secret.removeprefix("://") else found[0]


def one_line(text: str) -> str:
    """Return a text from elsewhere without passwords, escaped to one line, 1,024 characters of it at most."""
    safe = _escaped(without_passwords(text))  # before it is cut: half an address would not be known for one
    return safe if len(safe) <= TEXT_CHARS_MAX else f"{safe[:TEXT_CHARS_MAX]}…"


def traceback_text(text: str) -> str:
    """Return a traceback without passwords, its lines kept as lines but nothing else that moves a cursor."""
    safe = "\n".join(_escaped(line) for line in without_passwords(text).split("\n"))
    return safe if len(safe) <= TRACE_CHARS_MAX else f"…{safe[-TRACE_CHARS_MAX:]}"


def value(given: object, depth: int = 0) -> object:
    """Return a log field's value as plain JSON: numbers as they are, containers in limits, the rest as text."""
    match given:
        case None | bool() | int():
            return given
        case float() if math.isfinite(given):
            return given
        case Mapping() if depth < _DEPTH_MAX:
            return {one_line(str(key)): value(given[key], depth + 1) for key in list(given)[:_ITEMS_MAX]}
        case list() | tuple() | set() | frozenset() if depth < _DEPTH_MAX:
            return [value(item, depth + 1) for item in list(given)[:_ITEMS_MAX]]
        case _:
            return one_line(str(given))


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if category(char) in _UNPRINTABLE else char for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
