"""The tables, as Core sees them. `migrations/` makes them; a test holds the two together."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.types import TypeEngine
from typing_extensions import override

# Constraints have names that we know, so that a later migration can change them on every database.
NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

# Compared byte by byte on both databases. PostgreSQL's default collation is the system's: slower, and an index
# made under one version of it is silently wrong under the next.
_NAME: Final = Text().with_variant(Text(collation="C"), "postgresql")


_TIMES_KEPT_MAX: Final = 64  # what happens in a batch happens at one time


@lru_cache(_TIMES_KEPT_MAX)
def _text_of(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


class UtcTime(TypeDecorator[datetime]):
    """A moment with microseconds: timezone-aware datetimes in, UTC out.

    PostgreSQL has a type for it. On SQLite it is text of a fixed width, `2026-01-12T09:30:00.123456Z`, which sorts
    as time does and can be read by whoever opens the file.
    """

    impl = DateTime
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())  # type: ignore[arg-type] # text there, a datetime to us
        return dialect.type_descriptor(DateTime(timezone=True))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone is not a moment")
        moment = value.astimezone(UTC)
        return _text_of(moment) if dialect.name == "sqlite" else moment

    @override
    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:
        return datetime.fromisoformat(value) if isinstance(value, str) else value


metadata: Final = MetaData(naming_convention=NAMES)

# `latest_stream_id` could be found in `streams`; here it is read together with the lock. It is no foreign key,
# because the two tables would point at each other.
devices: Final = Table(
    "devices",
    metadata,
    Column("id", _NAME, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("latest_stream_id", Uuid),
    CheckConstraint("sequence >= 0", name="sequence"),
)

streams: Final = Table(
    "streams",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("device_id", _NAME, ForeignKey(devices.c.id), nullable=False),
    Column("code", _NAME, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("stopped_at", UtcTime),
    Column("version", Integer, nullable=False),
    UniqueConstraint("code"),
    CheckConstraint("status IN ('active', 'stopped')", name="status"),
    CheckConstraint("(status = 'stopped') = (stopped_at IS NOT NULL)", name="stopped_at"),
    CheckConstraint("version >= 1", name="version"),
)

# A device has at most one active stream, whatever the number of workers.
Index(
    "uq_streams_active",
    streams.c.device_id,
    unique=True,
    sqlite_where=streams.c.status == "active",
    postgresql_where=streams.c.status == "active",
)

stream_events: Final = Table(
    "stream_events",
    metadata,
    Column("device_id", _NAME, ForeignKey(devices.c.id), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("published_at", UtcTime),
    UniqueConstraint("event_id"),
    CheckConstraint("sequence >= 1", name="sequence"),
)

# The outbox: as small as what is not yet published, however long the history is.
Index(
    "ix_stream_events_unpublished",
    stream_events.c.device_id,
    stream_events.c.sequence,
    sqlite_where=stream_events.c.published_at.is_(None),
    postgresql_where=stream_events.c.published_at.is_(None),
)

# For retention, which takes the oldest first. Its entries are added at its right end, in the order of time: of all
# the indexes of this table it costs a write the least, and none to an event until it is published.
Index(
    "ix_stream_events_published",
    stream_events.c.at,
    sqlite_where=stream_events.c.published_at.is_not(None),
    postgresql_where=stream_events.c.published_at.is_not(None),
)

handled_commands: Final = Table(
    "handled_commands",
    metadata,
    Column("sender", _NAME, primary_key=True),
    Column("message_id", _NAME, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("reply_type", Text, nullable=False),
    Column("reply_content_type", Text, nullable=False),
    Column("reply_body", LargeBinary, nullable=False),
    Column("reply_problem", Text),
    Column("handled_at", UtcTime, nullable=False),
    CheckConstraint("length(digest) = 32", name="digest"),
    Index(None, "handled_at"),  # they are pruned by age
)

# What the relay knows of a device whose events wait: whose turn it is, and how often the broker refused its next
# event, the one with this sequence. There is a row only as long as there is a reason for it.
relayed_devices: Final = Table(
    "relayed_devices",
    metadata,
    Column("device_id", _NAME, ForeignKey(devices.c.id), primary_key=True),
    Column("worker", Text, nullable=False),  # '' is nobody
    Column("claimed_until", UtcTime, nullable=False),
    Column("sequence", BigInteger),
    Column("refusals", Integer, nullable=False),
    Column("parked_at", UtcTime),
    Column("retry_at", UtcTime),
    CheckConstraint("refusals >= 0", name="refusals"),
    CheckConstraint("(parked_at IS NULL) = (retry_at IS NULL)", name="parked"),
)

workers: Final = Table(
    "workers",
    metadata,
    Column("name", _NAME, primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
)
