"""What a device id looks like."""

import re
from typing import Final

from schemas.limits import DEVICE_ID_CHARS_MAX, DEVICE_ID_PATTERN

DEVICE_ID_LOOKS: Final = (
    f"1 to {DEVICE_ID_CHARS_MAX} of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit"
)
"""The rule in words, for whoever wrote something else."""

_DEVICE_ID: Final = re.compile(DEVICE_ID_PATTERN.removeprefix("^").removesuffix("$"))


def is_device_id(text: str) -> bool:
    """Whether a text can be a device's id, all of it."""
    return _DEVICE_ID.fullmatch(text) is not None
