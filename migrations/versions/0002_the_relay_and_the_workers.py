"""Whom the relay looks after, who is at work, and an index for the retention of events."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make them. What is there stays as it is."""
    _relayed_devices()
    _workers()
    published = sa.text("published_at IS NOT NULL")
    op.create_index(
        "ix_stream_events_published",
        "stream_events",
        ["at"],
        sqlite_where=published,
        postgresql_where=published,
    )


def downgrade() -> None:
    """Drop them. A parked device is tried again like any other."""
    op.drop_index("ix_stream_events_published", "stream_events")
    op.drop_table("workers")
    op.drop_table("relayed_devices")


def _relayed_devices() -> None:
    op.create_table(
        "relayed_devices",
        sa.Column("device_id", _NAME, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("claimed_until", _TIME, nullable=False),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("refusals", sa.Integer, nullable=False),
        sa.Column("parked_at", _TIME),
        sa.Column("retry_at", _TIME),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_relayed_devices")),
        sa.CheckConstraint("refusals >= 0", name=op.f("ck_relayed_devices_refusals")),
        sa.CheckConstraint("(parked_at IS NULL) = (retry_at IS NULL)", name=op.f("ck_relayed_devices_parked")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("fk_relayed_devices_device_id_devices")),
    )


def _workers() -> None:
    op.create_table(
        "workers",
        sa.Column("name", _NAME, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
