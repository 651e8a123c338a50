"""Whether a message says that its body is JSON as we read it."""

from email.message import Message
from functools import lru_cache
from typing import Final

_OURS: Final = "application/json"
_NAMES_KEPT_MAX: Final = 64


def is_json(content_type: str | None, content_encoding: str | None) -> bool:
    """Accept `application/json`, with `charset=utf-8` or without; missing means the same. No encoding."""
    if content_encoding:
        return False
    return not content_type or content_type == _OURS or _is_spelt_json(content_type)


@lru_cache(maxsize=_NAMES_KEPT_MAX)
def _is_spelt_json(content_type: str) -> bool:
    """Read the media type with its parameters (RFC 9110, section 8.3.1)."""
    if not content_type.isprintable():
        return False
    message = Message()
    message["content-type"] = content_type
    if message.get_content_type() != _OURS:
        return False
    charset = message.get_param("charset", "utf-8")
    return isinstance(charset, str) and charset.lower() in ("utf-8", "utf8")
