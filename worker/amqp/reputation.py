"""What an epoch has learnt of direct reply addresses."""

import base64
import binascii
from typing import Final, TypeVar

T = TypeVar("T")

ADDRESSES_MAX: Final = 10_000  # of each kind, a few MB in all
STRIKES_MAX: Final = 2  # one can be chance: the connection may have ended for another reason

_PREFIX: Final = "amq.rabbitmq.reply-to."
_TERM_BYTES_MIN: Final = 13
_PLACE: Final = slice(-12, -8)  # of the process's number in Erlang's external term format, NEW_PID_EXT …
_FREE_BITS: Final = 15  # … of which so many have any value: whether a node takes the process hangs on the others


def kin_of(address: str) -> str:
    """Return what it has in common with those that end the connection only if it does; of an odd one, itself.

    An address is `amq.rabbitmq.reply-to.`, an Erlang process in base 64, a dot and a key. RabbitMQ 3.10 ends the
    connection where it has no node of that name, or the node takes no process with such bits. The other bits and
    the key are the asker's own. So the askers of a node are kin, and who forges is kin to them only by an address
    that does no harm.
    """
    written, dot, _ = address.removeprefix(_PREFIX).partition(".")
    try:
        term = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):  # the latter where it is not ASCII
        return address
    if not dot or len(term) < _TERM_BYTES_MIN or base64.b64encode(term).decode() != written:
        return address
    number = int.from_bytes(term[_PLACE]) >> _FREE_BITS
    return f"{term[: _PLACE.start].hex()}.{number}.{term[_PLACE.stop :].hex()}"


class Reputation:
    """Which addresses have proved good, and which ended the connection. Bounded: the oldest are forgotten.

    An address speaks for its kin when it proves good, and for itself alone when it does not.
    """

    def __init__(self) -> None:
        self._good: dict[str, None] = {}
        self._strikes: dict[str, int] = {}

    def is_good(self, address: str) -> bool:
        """Whether a reply to one of its kin was confirmed, and none of them ended the connection since."""
        return kin_of(address) in self._good

    def is_bad(self, address: str) -> bool:
        """Whether it ended the connection as often as it may."""
        return self._strikes.get(address, 0) >= STRIKES_MAX

    def is_suspect(self, address: str) -> bool:
        """Whether it ended the connection before, or seemed to."""
        return address in self._strikes

    def confirmed(self, address: str) -> None:
        """A reply to it arrived at the broker and the connection stands."""
        self._strikes.pop(address, None)
        _remember(self._good, kin_of(address), None)

    def struck(self, address: str) -> None:
        """The connection ended at it."""
        self._good.pop(kin_of(address), None)
        _remember(self._strikes, address, self._strikes.get(address, 0) + 1)


def _remember(book: dict[str, T], address: str, value: T) -> None:
    book.pop(address, None)  # it becomes the youngest
    book[address] = value
    if len(book) > ADDRESSES_MAX:
        del book[next(iter(book))]
