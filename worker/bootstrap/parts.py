"""The parts of the worker, each made from the settings."""

import secrets
from datetime import UTC, datetime

from uuid_utils.compat import uuid7

from worker.amqp.codec.decode import Decoder
from worker.amqp.codec.render import WireRenderer
from worker.amqp.codec.reply_address import ReplyAddresses
from worker.amqp.options import BrokerOptions
from worker.amqp.session import Session, Sessions
from worker.amqp.topology import topology
from worker.config import Settings
from worker.domain.code import CODE_BITS, code_from_bits
from worker.runtime import Lifecycle
from worker.service.batch import Batches, Patience
from worker.service.handlers import Mint
from worker.service.outstanding import Outstanding
from worker.service.ports import Store
from worker.service.process import Flow, Pipeline
from worker.service.relay import Relay, RelayPolicy
from worker.service.say import Speaker
from worker.sql.engine import StoreOptions


def pipeline(settings: Settings, store: Store, session: Session) -> Pipeline:
    """Build the pipeline of one epoch; nothing in it but the store has lived before."""
    outstanding = Outstanding()
    batches = Batches(
        store=store, renderer=WireRenderer(), mint=mint, outstanding=outstanding, patience=Patience()
    )
    policy = RelayPolicy(
        interval_s=settings.relay_interval_s, grace_s=settings.relay_grace_s, limit=settings.relay_batch_max
    )
    return Pipeline(
        inbox=session.consumer,
        batches=batches,
        relay=Relay(batches=batches, policy=policy, clock=now),
        speaker=Speaker(
            publisher=session.publisher, outstanding=outstanding, event_retries=settings.event_retries
        ),
        settlement=session.settlement,
        flow=Flow(batch_max=settings.batch_max),
    )


def sessions(settings: Settings) -> Sessions:
    """Build what opens the broker's side of each epoch."""
    pattern = settings.reply_to_pattern
    addresses = ReplyAddresses(namespace=settings.namespace, also=pattern.pattern if pattern else None)
    return Sessions(
        options=broker_options(settings),
        topology=topology(settings.namespace),
        declares=settings.topology == "declare",
        decoder=Decoder(addresses=addresses),
        clock=now,
    )


def broker_options(settings: Settings) -> BrokerOptions:
    """Return what the broker's side has to be told."""
    return BrokerOptions(
        url=settings.amqp_url.get_secret_value(),
        worker_name=settings.worker_name,
        heartbeat_s=settings.heartbeat_s,
        connect_timeout_s=settings.connect_timeout_s,
        confirm_timeout_s=settings.confirm_timeout_s,
        settle_timeout_s=settings.settle_timeout_s,
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


def mint() -> Mint:
    """Return what new streams of one batch are made of: UUIDs of version 7, codes from the system's source."""
    return Mint(now=now(), new_id=uuid7, new_code=lambda: code_from_bits(secrets.randbits(CODE_BITS)))
