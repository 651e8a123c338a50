"""What a proxy passes on in one piece."""

from dataclasses import dataclass, replace

import pamqp.frame
from pamqp.commands import Basic

from tests.support.said import Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Bytes that go on together, and what they say: a method with all of its content, or what is no method.

    `at_s` is when it came, of the monotonic clock. `confirmed` are the publishes that it confirms or refuses.
    """

    raw: bytes
    at_s: float
    said: tuple[Said, ...] = ()
    confirmed: tuple[int, ...] = ()
    channel: int = 0

    def one_by_one(self) -> "list[Parcel]":
        """Return a confirm of many as a confirm for each, and everything else as it is."""
        if len(self.confirmed) < 2 or len(self.said) != 1:
            return [self]
        return [self._for_one(self.said[0], tag) for tag in self.confirmed]

    def _for_one(self, said: Said, tag: int) -> "Parcel":
        method = (Basic.Ack if said.method == "Basic.Ack" else Basic.Nack)(delivery_tag=tag)
        one = replace(said, delivery_tag=tag, multiple=False)
        return replace(self, raw=pamqp.frame.marshal(method, self.channel), said=(one,), confirmed=(tag,))
