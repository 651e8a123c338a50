"""The broker objects of the contract, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from worker.service.ports import EpochOver

DELIVERY_LIMIT: Final = 20  # a message that cost so many workers their connection is not tried again
NEVER_REACHED: Final = 1_000_000_000  # -1 would drop a dead letter at its first requeue (RabbitMQ 3.10)
PARTITIONS_MAX: Final = 128  # as the settings have it
HASHED: Final = "x-consistent-hash"
SEGMENTS: Final = 20  # of the event log: what is forgotten at once is a twentieth of it


class TopologyWrong(EpochOver):
    """An exchange or queue is missing, or is there with other arguments. The text says which and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A durable exchange. One that has a `source` gets all that is published there."""

    name: str
    kind: str = "topic"
    source: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A durable queue, bound to an exchange by a key; one without an exchange gets what is sent to it."""

    name: str
    exchange: str | None
    key: str = "#"
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """How much of the history is kept on the broker; the oldest events go when one of the two is passed."""

    bytes_max: int
    retention_s: int

    @property
    def arguments(self) -> dict[str, Any]:
        """What a queue that is such a log is declared with. A whole segment is forgotten at a time, when another
        one is full: they are small, or a quiet system would keep everything for ever.
        """
        return {
            "x-queue-type": "stream",
            "x-max-length-bytes": self.bytes_max,
            "x-max-age": f"{self.retention_s}s",
            "x-stream-max-segment-size-bytes": self.bytes_max // SEGMENTS,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All names of one namespace, and the objects behind them.

    `partitions` are the queues over which the commands are spread by their routing keys, each with one active
    consumer; there are none where the commands have one queue. `hashed` is the exchange that spreads them.
    """

    commands: str
    events: str
    dead: str
    canary: str
    hashed: str
    partitions: Sequence[str]
    exchanges: Sequence[Exchange]
    queues: Sequence[Queue]

    @property
    def sources(self) -> Sequence[str]:
        """The queues from which commands come."""
        return (self.commands, *self.partitions)

    def partition(self, number: int) -> str:
        """The name of a partition, counted from 1, whether it is wanted or not."""
        return _partition(self.commands, number)


def _partition(commands: str, number: int) -> str:
    return f"{commands}.{number}"


def topology(namespace: str, partitions: int = 1, event_log: EventLog | None = None) -> Topology:
    """Return the objects of a namespace, in the order in which they have to be declared."""
    commands, events, dead = (f"{namespace}.{kind}" for kind in ("commands", "events", "dead"))
    hashed = f"{commands}.hashed"
    parts = tuple(_partition(commands, number) for number in range(1, partitions + 1)) if partitions > 1 else ()
    alone: dict[str, Any] = {"x-single-active-consumer": True}
    return Topology(
        commands=commands,
        events=events,
        dead=dead,
        canary=f"{namespace}.canary",
        hashed=hashed,
        partitions=parts,
        exchanges=(
            *(Exchange(name=name) for name in (commands, events, dead)),
            *([Exchange(name=hashed, kind=HASHED, source=commands)] if parts else []),
        ),
        queues=(
            Queue(
                name=dead,
                exchange=dead,
                arguments={"x-queue-type": "quorum", "x-delivery-limit": NEVER_REACHED},
            ),
            Queue(name=commands, exchange=None if parts else commands, arguments=_of_commands(dead)),
            # The key of such a binding is the queue's weight: all have the same share of the keys.
            *(Queue(name=n, exchange=hashed, key="1", arguments=_of_commands(dead) | alone) for n in parts),
            *([Queue(name=f"{events}.log", exchange=events, arguments=event_log.arguments)] if event_log else []),
        ),
    )


def _of_commands(dead: str) -> dict[str, Any]:
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
