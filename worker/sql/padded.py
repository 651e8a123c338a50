"""Lists of values in statements."""

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def padded(values: Iterable[T]) -> list[T]:
    """Repeat the last value until there are a power of two: each length is another text for the database to
    prepare, and so there are about ten of them instead of hundreds.
    """
    filled = list(values)
    missing = (1 << (len(filled) - 1).bit_length()) - len(filled)
    return filled + filled[-1:] * missing
