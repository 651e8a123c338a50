"""The four tables: devices, streams, their events, and what was answered to whom."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make them."""
    _devices()
    _streams()
    _stream_events()
    _handled_commands()


def downgrade() -> None:
    """Drop them, with all that is in them."""
    op.drop_table("handled_commands")
    op.drop_table("stream_events")
    op.drop_table("streams")
    op.drop_table("devices")


def _devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", _NAME, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("latest_stream_id", sa.Uuid),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
        sa.CheckConstraint("sequence >= 0", name=op.f("ck_devices_sequence")),
    )


def _streams() -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("device_id", _NAME, nullable=False),
        sa.Column("code", _NAME, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("stopped_at", _TIME),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_streams")),
        sa.UniqueConstraint("code", name=op.f("uq_streams_code")),
        sa.CheckConstraint("status IN ('active', 'stopped')", name=op.f("ck_streams_status")),
        sa.CheckConstraint("(status = 'stopped') = (stopped_at IS NOT NULL)", name=op.f("ck_streams_stopped_at")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_streams_version")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_streams_device_id_devices")),
    )
    active = sa.text("status = 'active'")
    op.create_index(
        "uq_streams_active", "streams", ["device_id"], unique=True, sqlite_where=active, postgresql_where=active
    )


def _stream_events() -> None:
    op.create_table(
        "stream_events",
        sa.Column("device_id", _NAME, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("published_at", _TIME),
        sa.PrimaryKeyConstraint("device_id", "sequence", name=op.f("pk_stream_events")),
        sa.UniqueConstraint("event_id", name=op.f("uq_stream_events_event_id")),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_stream_events_sequence")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_stream_events_device_id_devices")),
    )
    unpublished = sa.text("published_at IS NULL")
    op.create_index(
        "ix_stream_events_unpublished",
        "stream_events",
        ["device_id", "sequence"],
        sqlite_where=unpublished,
        postgresql_where=unpublished,
    )


def _handled_commands() -> None:
    op.create_table(
        "handled_commands",
        sa.Column("sender", _NAME, nullable=False),
        sa.Column("message_id", _NAME, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("reply_type", sa.Text, nullable=False),
        sa.Column("reply_content_type", sa.Text, nullable=False),
        sa.Column("reply_body", sa.LargeBinary, nullable=False),
        sa.Column("reply_problem", sa.Text),
        sa.Column("handled_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("sender", "message_id", name=op.f("pk_handled_commands")),
        sa.CheckConstraint("length(digest) = 32", name=op.f("ck_handled_commands_digest")),
    )
    op.create_index(op.f("ix_handled_commands_handled_at"), "handled_commands", ["handled_at"])
