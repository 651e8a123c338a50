"""Whether a message says that its body is JSON as we read it."""

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
    """Read the media type and its parameters (RFC 9110, section 8.3.1). By hand: the standard library's reader
    raises for what a stranger can write.
    """
    if not content_type.isprintable():
        return False
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    return media_type == _OURS and all(map(_leaves_it_utf8, parameters))


def _leaves_it_utf8(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return not name.startswith("charset") or (name == "charset" and value.strip('"') in ("utf-8", "utf8"))
