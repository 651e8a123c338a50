"""The limits of the wire."""

from typing import Final

BODY_BYTES_MAX: Final = 64 * 1024
"""The largest body of a command."""

MESSAGE_ID_CHARS_MAX: Final = 128
"""The longest `message_id` of a command."""

DEVICE_ID_CHARS_MAX: Final = 128
DEVICE_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"

CODE_CHARS: Final = 8
CODE_PATTERN: Final = r"^[0-9A-HJKMNP-TV-Z]{8}$"
"""A code as we write it: Crockford's base 32, which has no I, L, O and U."""

CODE_WRITTEN_CHARS_MAX: Final = 64
"""The longest text that is read as a code; hyphens and spaces count."""

CODE_WRITTEN_PATTERN: Final = r"^[ -]*(?:[0-9A-TV-Za-tv-z][ -]*){8}$"
"""A code as people write it: any case, hyphens and spaces, I and L for 1, O for 0."""

SEQUENCE_PATTERN: Final = r"^[1-9][0-9]{0,18}$"
