"""A dead letter as text: nothing that a stranger wrote may move a cursor or forge a line."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from worker.ops.cleaning import one_line

if TYPE_CHECKING:
    from worker.amqp.letter import Letter

HEADING: Final = (
    f"{'NO':>5}  {'AGE':>4}  {'REASON':<22}  {'TYPE':<14}  {'MESSAGE ID':<36}  {'DEVICE':<16}  {'BYTES':>6}"
    "  DETAIL"
)
BODY_BYTES_MAX: Final = 4_096
"""Of a body so much is shown, unless the whole is asked for."""

_DEPTH_MAX: Final = 16
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))
_PROPERTIES: Final = (
    *("content_type", "content_encoding", "delivery_mode", "priority", "correlation_id", "reply_to"),
    *("expiration", "timestamp", "user_id", "app_id"),
)


def row(letter: "Letter", now: datetime) -> str:
    """Return the letter as a line of a table, under HEADING."""
    shown = [one_line(text or "-") for text in (letter.reason, letter.type, letter.message_id, letter.routing_key)]
    reason, kind, message_id, key = shown
    size, detail = len(letter.delivery.body), one_line(letter.detail)
    return (
        f"{letter.number:>5}  {age(letter.age_s(now)):>4}  {reason:<22}  {kind:<14}  {message_id:<36}  {key:<16}  "
        f"{size:>6}  {detail}"
    ).rstrip()


def age(seconds: float | None) -> str:
    """Return an age in its largest unit."""
    if seconds is None:
        return "?"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(int(seconds), 0)}s"


def members(letter: "Letter", now: datetime) -> dict[str, Any]:
    """Return what a row shows, and more, for machines."""
    seconds = letter.age_s(now)
    return {
        "number": letter.number,
        "reason": letter.reason,
        "detail": letter.detail,
        "died_at": letter.died_at.astimezone(UTC).isoformat() if letter.died_at else None,
        "age_s": None if seconds is None else round(seconds, 3),
        "type": letter.type,
        "message_id": letter.message_id,
        "routing_key": letter.routing_key,
        "sender": letter.sender,
        "size_bytes": len(letter.delivery.body),
    }


def everything(letter: "Letter", now: datetime, *, full: bool) -> dict[str, Any]:
    """Return the whole letter for machines; its body as text where it is UTF-8, else in hexadecimal digits."""
    properties = letter.delivery.properties
    text, as_hex = _body(letter, full=full)
    return members(letter, now) | {
        "properties": {name: plain(getattr(properties, name)) for name in _PROPERTIES},
        "headers": plain(properties.headers or {}),
        "body": text,
        "body_hex": as_hex,
        "body_is_cut": _is_cut(letter, full=full),
    }


def page(letter: "Letter", now: datetime, *, full: bool) -> str:
    """Return the whole letter for people."""
    whole = everything(letter, now, full=full)
    text, as_hex = whole["body"], whole["body_hex"]
    named = members(letter, now) | whole["properties"]
    lines = [f"{name:<18}{_shown(value)}" for name, value in named.items() if value is not None]
    lines += ["headers", *(f"  {_shown(name)}: {_shown(value)}" for name, value in whole["headers"].items())]
    cut = f", the first {BODY_BYTES_MAX} of them; --full shows all" if whole["body_is_cut"] else ""
    lines.append(f"body ({len(letter.delivery.body)} bytes{', in hex' if text is None else ''}{cut})")
    return "\n".join([*lines, *(_safe(line) for line in (as_hex if text is None else text).split("\n"))])


def plain(value: Any, depth: int = 0) -> Any:
    """Return a header's value as JSON can have it."""
    match value:
        case None | bool() | int() | str():
            return value
        case bytes() | bytearray():
            return value.decode(errors="backslashreplace")
        case Mapping() if depth < _DEPTH_MAX:
            return {str(plain(name)): plain(item, depth + 1) for name, item in value.items()}
        case list() if depth < _DEPTH_MAX:
            return [plain(item, depth + 1) for item in value]
        case Mapping() | list():
            return "…"
        case _:
            return str(value)


def _body(letter: "Letter", *, full: bool) -> tuple[str | None, str | None]:
    body = letter.delivery.body if full else letter.delivery.body[:BODY_BYTES_MAX]
    try:
        letter.delivery.body.decode()
    except UnicodeDecodeError:
        return None, body.hex(" ", 2)
    return body.decode(errors="ignore"), None  # a character may have been cut in two


def _is_cut(letter: "Letter", *, full: bool) -> bool:
    return not full and len(letter.delivery.body) > BODY_BYTES_MAX


def _shown(value: Any) -> str:
    return _safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _safe(text: str) -> str:
    """Escape what does not print; keeps its length otherwise, as who asks for a letter wants to see all of it."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii")
        for char in text
    )
