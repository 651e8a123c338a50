"""Reading a body as a JSON object, strictly."""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic_core import from_json

# Only bodies with one of these can hold what the parser lets through and we do not: an escaped U+0000, or a number
# that no double holds. Most bodies are not walked through at all.
_SUSPECT: Final = re.compile(rb"\\u0000|[0-9][eE]\+?[0-9]|[0-9]{309}")


class Malformed(ValueError):
    """The body is not a UTF-8 JSON object. The text says what is wrong and quotes nothing of it."""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the object in the body.

    Refused: what is not UTF-8 or not JSON (RFC 8259), NaN and the infinities (1e400 is one), lone surrogates,
    nesting deeper and numbers longer than the parser follows, U+0000 (PostgreSQL has no place for it), and any
    JSON that is not an object. Raises Malformed.
    """
    try:
        parsed = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(_without_quotes(str(error))) from None
    if not isinstance(parsed, dict):
        raise Malformed("The body must be a JSON object.")
    if _SUSPECT.search(body):
        _check_leaves(parsed)
    return parsed


def _check_leaves(parsed: Any) -> None:
    for leaf in _leaves(parsed):
        if isinstance(leaf, str) and "\x00" in leaf:
            raise Malformed("The body contains the character U+0000.")
        if isinstance(leaf, float) and math.isinf(leaf):
            raise Malformed("The body contains a number that is too large.")


def _without_quotes(error: str) -> str:
    """The parser's message is a kind and a place, as in 'expected value at line 1 column 1'."""
    return f"The body is not JSON as we read it: {error[:120]}."


def _leaves(parsed: Any) -> Iterator[Any]:
    """Everything in the value that is no container, keys too, without recursion."""
    rest = [parsed]
    while rest:
        match rest.pop():
            case dict(members):
                rest.extend(members.keys())
                rest.extend(members.values())
            case list(items):
                rest.extend(items)
            case leaf:
                yield leaf
