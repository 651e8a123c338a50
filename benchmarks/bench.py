"""What every measure works with: servers, a seed, and the samples so far."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks.desk import Desk, open_desk
from benchmarks.peers.place import Place
from benchmarks.samples import Samples
from benchmarks.servers import Servers
from benchmarks.systems import ECHO_PREFETCH, WORKER, System

_TRIALS: Final = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many bytes the worker's replies and events have on average: as many the echoes send."""

    reply_bytes: int = 300
    event_bytes: int = 600


@dataclass(slots=True, kw_only=True)
class Bench:
    """One run."""

    servers: Servers
    seed: str
    samples: Samples = field(default_factory=Samples)
    sizes: Sizes = field(default_factory=Sizes)

    @asynccontextmanager
    async def trial(self, system: System, *, database_url: str | None = None) -> AsyncIterator[tuple[Desk, Place]]:
        """Give a system a namespace and a fresh database of its own (or a given one) for the length of a block."""
        namespace = f"bench-{next(_TRIALS)}"
        made = self.servers.database(None if database_url else system.database, migrated=system.program == WORKER)
        async with made as fresh:
            place = Place(
                amqp_url=self.servers.amqp_url,
                database_url=database_url or fresh,
                namespace=namespace,
                prefetch=system.prefetch or ECHO_PREFETCH,
                reply_bytes=self.sizes.reply_bytes,
                event_bytes=self.sizes.event_bytes,
            )
            async with open_desk(self.servers.amqp_url, namespace) as desk:
                yield desk, place
