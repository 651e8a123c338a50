"""The pipeline of one epoch, made from the settings and from what it stands on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from worker.amqp.codec.render import WireRenderer
from worker.bootstrap import parts
from worker.bootstrap.parts import Clock
from worker.config import Settings
from worker.service.batch import Batches
from worker.service.caution import Caution
from worker.service.housekeeping import Housekeeping
from worker.service.isolating import Isolating, Trial
from worker.service.outbox import Outbox, ParkingPolicy
from worker.service.outstanding import Outstanding
from worker.service.persisting import Allowance, Patience, Persistence
from worker.service.ports import Inbox, Publisher, Settlement, Store
from worker.service.process import Flow, Pipeline
from worker.service.pruning import Pruner, Retention
from worker.service.relay import Relay, RelayPolicy
from worker.service.say import Speaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What a pipeline stands on."""

    store: Store
    inbox: Inbox
    publisher: Publisher
    settlement: Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """What one epoch leaves to the next, beside what is in the store."""

    caution: Caution = field(default_factory=Caution)
    allowance: Allowance = field(default_factory=Allowance)


HELD_MAX: Final = 64
HELD_SHARE: Final = 8  # one in so many of the deliveries in hand may wait for the next try of its reply

Around = Callable[[Ports], Ports]
"""What stands between a pipeline and its ports, asked for each epoch. Faults are let in here, by tests."""


def as_they_are(ports: Ports) -> Ports:
    """Put nothing between."""
    return ports


def pipeline(settings: Settings, ports: Ports, experience: Experience, clock: Clock = parts.now) -> Pipeline:
    """Build the pipeline of one epoch; nothing in it but the store and the experience has lived before."""
    outstanding, renderer = Outstanding(), WireRenderer()
    persistence = Persistence(
        store=ports.store,
        inbox=ports.inbox,
        patience=Patience(hold_s=settings.hold_s),
        allowance=experience.allowance,
    )
    outbox = Outbox(
        persistence=persistence,
        outstanding=outstanding,
        parking=ParkingPolicy(after=settings.park_after, rest_s=settings.parked_retry_s),
        clock=clock,
    )
    batches = Batches(
        persistence=persistence, renderer=renderer, mint=partial(parts.mint, clock), outstanding=outstanding
    )
    return Pipeline(
        inbox=ports.inbox,
        isolating=Isolating(
            batches=batches,
            persistence=persistence,
            renderer=renderer,
            trial=Trial(tries=settings.command_tries, worker=settings.worker_name),
            clock=clock,
        ),
        housekeeping=Housekeeping(
            outbox=outbox,
            relay=Relay(outbox=outbox, policy=_relay_policy(settings), clock=clock),
            pruner=Pruner(persistence=persistence, retention=_retention(settings), clock=clock),
        ),
        speaker=Speaker(publisher=ports.publisher, outstanding=outstanding, event_retries=settings.event_retries),
        settlement=ports.settlement,
        caution=experience.caution,
        flow=Flow(batch_max=settings.batch_max, held_max=_held_max(settings)),
    )


def _held_max(settings: Settings) -> int:
    return min(HELD_MAX, settings.prefetch // (HELD_SHARE * settings.partitions))


def _relay_policy(settings: Settings) -> RelayPolicy:
    return RelayPolicy(
        worker=settings.worker_name,
        interval_s=settings.relay_interval_s,
        grace_s=settings.relay_grace_s,
        limit=settings.relay_batch_max,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(
        handled_s=settings.handled_retention_s + settings.clock_skew_s,
        events_s=settings.event_retention_s,
        interval_s=settings.prune_interval_s,
        limit=settings.prune_batch_max,
    )
