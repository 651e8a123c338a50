"""The code of a stream: short, shareable, unique over all streams ever made.

Eight characters of Crockford's base-32 alphabet (https://www.crockford.com/base32.html), which is 40 bits.
"""

from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARS: Final = 8
CODE_BITS: Final = 5 * CODE_CHARS


def code_from_bits(bits: int) -> str:
    """Spell the lowest 40 bits of a number as a code; give it 40 bits of a cryptographic source."""
    return "".join(ALPHABET[(bits >> shift) & 31] for shift in range(CODE_BITS - 5, -1, -5))
