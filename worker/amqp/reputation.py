"""What an epoch has learnt of direct reply addresses."""

from typing import Final, TypeVar

T = TypeVar("T")

ADDRESSES_MAX: Final = 10_000  # of each kind, some 2 MB in all
STRIKES_MAX: Final = 2  # one can be chance: the connection may have ended for another reason


class Reputation:
    """Which addresses have proved good, and which ended the connection. Bounded: the oldest are forgotten."""

    def __init__(self) -> None:
        self._good: dict[str, None] = {}
        self._strikes: dict[str, int] = {}

    def is_good(self, address: str) -> bool:
        """Whether a reply to it was confirmed and it ended no connection since."""
        return address in self._good

    def is_bad(self, address: str) -> bool:
        """Whether it ended the connection as often as it may."""
        return self._strikes.get(address, 0) >= STRIKES_MAX

    def is_suspect(self, address: str) -> bool:
        """Whether it ended the connection before, or seemed to."""
        return address in self._strikes

    def confirmed(self, address: str) -> None:
        """A reply to it arrived at the broker and the connection stands."""
        self._strikes.pop(address, None)
        _remember(self._good, address, None)

    def struck(self, address: str) -> None:
        """The connection ended at it."""
        self._good.pop(address, None)
        _remember(self._strikes, address, self._strikes.get(address, 0) + 1)


def _remember(book: dict[str, T], address: str, value: T) -> None:
    book.pop(address, None)  # it becomes the youngest
    book[address] = value
    if len(book) > ADDRESSES_MAX:
        del book[next(iter(book))]
