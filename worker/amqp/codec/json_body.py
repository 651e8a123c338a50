"""Reading a body as a JSON object, strictly."""

import json
import re
from typing import Any, Final

from pydantic_core import from_json

# What the parser lets through and we do not. Each runs along a body once, whatever a stranger put into it. In JSON
# a backslash stands in strings only, and pairs of them are text.
_NUL: Final = b"\\u0000"
_ESCAPED_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# Only bodies with one of these can hold a number that no double holds, for those end at 1.8e308: an exponent of
# three digits, or two hundred digits in a row. In an object a number ends at a blank, a comma or a bracket, and
# what looks like one in a name in hexadecimal hardly ever does.
_LARGE: Final = re.compile(rb"[0-9][eE]\+?[0-9]{3,}[\s,\]}]|(?<![0-9])[0-9]{200}")


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
    if _NUL in body and _ESCAPED_NUL.search(body):  # most bodies are seen through by the first in no time
        raise Malformed("The body contains the character U+0000.")
    if _LARGE.search(body):
        _check_numbers(parsed)
    return parsed


def _check_numbers(parsed: dict[str, Any]) -> None:
    """Refuse infinities. The writer finds them without Python code: a walk of ours held the loop for 50 ms."""
    try:
        json.dumps(parsed, allow_nan=False)
    except ValueError:
        raise Malformed("The body contains a number that is too large.") from None


def _without_quotes(error: str) -> str:
    """The parser's message is a kind and a place, as in 'expected value at line 1 column 1'."""
    return f"The body is not JSON as we read it: {error[:120]}."
