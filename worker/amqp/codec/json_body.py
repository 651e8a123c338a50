"""Reading a body as a JSON object, strictly."""

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json


class Malformed(ValueError):
    """The body is not a UTF-8 JSON object. The text says what is wrong and quotes nothing of it."""


def read_object(body: bytes) -> dict[str, Any]:
    """Return the object in the body.

    Refused: what is not UTF-8 or not JSON (RFC 8259), NaN and the infinities, lone surrogates, nesting deeper
    than the parser follows, U+0000 (PostgreSQL has no place for it), and any JSON that is not an object.
    Raises Malformed.
    """
    try:
        parsed = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(_without_quotes(str(error))) from None
    if not isinstance(parsed, dict):
        raise Malformed("The body must be a JSON object.")
    if b"\\u0000" in body and any("\x00" in text for text in _strings(parsed)):
        raise Malformed("The body contains the character U+0000.")
    return parsed


def _without_quotes(error: str) -> str:
    """The parser's message is a kind and a place, as in 'expected value at line 1 column 1'."""
    return f"The body is not JSON as we read it: {error[:120]}."


def _strings(parsed: Any) -> Iterator[str]:
    """Every string in the value, keys too, without recursion."""
    rest = [parsed]
    while rest:
        match rest.pop():
            case str(text):
                yield text
            case dict(members):
                rest.extend(members.keys())
                rest.extend(members.values())
            case list(items):
                rest.extend(items)
            case _:
                pass
