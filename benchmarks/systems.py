"""Who is measured: the worker as its users run it, and each peer in its own environment."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.environments import python_of
from benchmarks.peers.place import Place
from devtools.ports import free_port

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
DATABASES: Final = (SQLITE, POSTGRESQL)

WORKER: Final = "worker"
FASTSTREAM: Final = "faststream"
PLAIN: Final = "aio_pika_plain"
ECHO: Final = "echo"
BATCHED_ECHO: Final = "batched_echo"

ECHO_PREFETCH: Final = 512  # the default of the worker
_MODULES: Final = {
    PLAIN: "benchmarks.peers.aio_pika_plain.app",
    ECHO: "benchmarks.peers.echo.app",
    BATCHED_ECHO: "benchmarks.peers.batched_echo.app",
}
_PROGRAM: Final = Path(sys.executable).parent / "stream-worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One that carries out commands. Without a `database` it only echoes; the worker's prefetch is its default."""

    program: str
    database: str | None = None
    prefetch: int | None = None

    @property
    def name(self) -> str:
        """How samples call it: `faststream-1-sqlite`."""
        return "-".join(str(part) for part in (self.program, self.prefetch, self.database) if part is not None)

    @property
    def is_echo(self) -> bool:
        """Whether it has no state to be right about."""
        return self.database is None

    def argv(self) -> Sequence[str]:
        """Return what starts it. A peer's environment is made if it is not there."""
        match self.program:
            case "worker":
                return [str(_PROGRAM), "run"]
            case "faststream":
                run = ["faststream", "run", "benchmarks.peers.faststream.app:app"]
                return [str(python_of(self.program)), "-m", *run]
            case peer:
                return [str(python_of(peer)), "-m", _MODULES[peer]]

    def environ(self, place: Place) -> Mapping[str, str]:
        """Return the variables that tell it where it works."""
        if self.program != WORKER:
            return place.environ
        return {
            "STREAMS_AMQP_URL": place.amqp_url,
            "STREAMS_DATABASE_URL": place.database_url,
            "STREAMS_NAMESPACE": place.namespace,
            "STREAMS_HTTP_PORT": str(free_port()),
        }


def worker(database: str) -> System:
    """Return the worker on a database."""
    return System(program=WORKER, database=database)


def peer(program: str, database: str, prefetch: int) -> System:
    """Return a peer with an ORM."""
    return System(program=program, database=database, prefetch=prefetch)


THE_ECHO: Final = System(program=ECHO)
THE_BATCHED_ECHO: Final = System(program=BATCHED_ECHO)
