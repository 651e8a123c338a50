"""The parts of the worker, each made from the settings."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from uuid_utils.compat import uuid7

from worker.amqp.codec.admission import Admission
from worker.amqp.codec.age import AgeLimit
from worker.amqp.codec.authority import Authority
from worker.amqp.codec.decode import Decoder
from worker.amqp.codec.rates import SenderRates
from worker.amqp.codec.reply_address import ReplyAddresses
from worker.amqp.options import BrokerOptions
from worker.amqp.session import Sessions
from worker.amqp.topology import EventLog, Topology, topology
from worker.config import Settings
from worker.domain.code import CODE_BITS, code_from_bits
from worker.runtime import Lifecycle
from worker.service.handlers import Mint
from worker.sql.engine import StoreOptions

Clock = Callable[[], datetime]
"""Tells the time, in UTC."""


def sessions(settings: Settings, clock: Clock) -> Sessions:
    """Build what opens the broker's side of each epoch."""
    pattern = settings.reply_to_pattern
    addresses = ReplyAddresses(namespace=settings.namespace, also=pattern.pattern if pattern else None)
    return Sessions(
        options=broker_options(settings),
        topology=wanted_topology(settings),
        declares=settings.topology == "declare",
        decoder=Decoder(addresses=addresses, admission=_admission(settings, clock)),
        clock=clock,
    )


def _admission(settings: Settings, clock: Clock) -> Admission:
    rate, burst = settings.sender_rate, settings.sender_burst
    return Admission(
        authority=Authority(per_device=settings.authorization == "device", operators=settings.operators),
        rates=SenderRates(per_second=rate, burst=burst, clock_ns=time.monotonic_ns) if rate else None,
        age=AgeLimit(retention_s=settings.handled_retention_s, clock=clock),
    )


def wanted_topology(settings: Settings) -> Topology:
    """Return the objects that should be on the broker."""
    event_log = EventLog(bytes_max=settings.event_log_bytes_max, retention_s=settings.event_log_retention_s)
    return topology(settings.namespace, settings.partitions, event_log if settings.event_log else None)


def broker_options(settings: Settings) -> BrokerOptions:
    """Return what the broker's side has to be told."""
    return BrokerOptions(
        url=settings.amqp_url.get_secret_value(),
        worker_name=settings.worker_name,
        heartbeat_s=settings.heartbeat_s,
        connect_timeout_s=settings.connect_timeout_s,
        confirm_timeout_s=settings.confirm_timeout_s,
        settle_timeout_s=settings.settle_timeout_s,
        watchdog_s=settings.watchdog_s,
        prefetch=settings.prefetch,
    )


def store_options(settings: Settings) -> StoreOptions:
    """Return what the database's side has to be told."""
    return StoreOptions(
        application_name=settings.worker_name,
        busy_timeout_s=settings.sqlite_busy_timeout_s,
        lock_timeout_s=settings.database_lock_timeout_s,
        statement_timeout_s=settings.database_timeout_s,
    )


def lifecycle(settings: Settings) -> Lifecycle:
    """Return how long to wait for what."""
    return Lifecycle(
        drain_timeout_s=settings.drain_timeout_s,
        reconnect_min_s=settings.reconnect_min_s,
        reconnect_max_s=settings.reconnect_max_s,
    )


def now() -> datetime:
    """Tell the time, in UTC."""
    return datetime.now(UTC)


def mint(clock: Clock) -> Mint:
    """Return what new streams of one batch are made of: UUIDs of version 7, codes from the system's source."""
    return Mint(now=clock(), new_id=uuid7, new_code=lambda: code_from_bits(secrets.randbits(CODE_BITS)))
