"""Commands and messages for the tests of the core, without any transport."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from worker.domain.code import code_from_bits
from worker.domain.commands import Command
from worker.service.handlers import Mint
from worker.service.messages import Identity, MessageKey, Received, ReplyTo

BEGAN = datetime(2026, 1, 12, 9, 30, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A delivery that is nothing but its number."""

    tag: int


@dataclass(slots=True, kw_only=True)
class SteadyMint:
    """Ids and codes in counting order, and a clock that moves a second with every mint."""

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    ticks: Iterator[int] = field(default_factory=itertools.count)
    new_code: Callable[[], str] | None = None

    def __call__(self) -> Mint:
        return Mint(
            now=BEGAN + timedelta(seconds=next(self.ticks)),
            new_id=lambda: UUID(int=next(self.numbers)),
            new_code=self.new_code or (lambda: code_from_bits(next(self.numbers))),
        )


_tags = itertools.count(1)


def received(
    command: Command,
    *,
    message_id: str | None = None,
    sender: str = "",
    reply_to: str | None = "amq.gen-asker",
    said: bytes | None = None,
    tag: int | None = None,
) -> Received:
    """Return a command as it comes out of the codec. `said` stands for its bytes: other bytes, other digest."""
    digest = hashlib.sha256(said if said is not None else repr(command).encode()).digest()
    return Received(
        delivery=Tag(tag=tag or next(_tags)),
        command=command,
        identity=Identity(key=MessageKey(sender=sender, message_id=message_id), digest=digest)
        if message_id
        else None,
        reply_to=ReplyTo(address=reply_to, correlation_id=message_id) if reply_to else None,
    )
