"""The database: where it is, who migrates it, and how long it may take."""

from typing import Final

from pydantic import BaseModel, Field, SecretStr

from worker.config import kinds

_FILE: Final = SecretStr("sqlite+aiosqlite:///var/streams.db")


class DatabaseSettings(BaseModel):
    """Of the settings, what the store has to be told."""

    # Needs nothing but a folder.
    database_url: kinds.DatabaseUrl = Field(_FILE, description="sqlite+aiosqlite://… or postgresql+asyncpg://…")
    # A file of our own is ours to change; a shared server has an owner, and other workers on it.
    database_migrate: kinds.OptionalBool = Field(
        None, description="migrate at start; default: SQLite yes, else no"
    )
    # A batch takes tens of milliseconds: a statement of ten seconds is stuck.
    database_timeout_s: kinds.Seconds = Field(10, ge=0.1, le=600, description="one statement")
    # Another worker holds a device for one batch. Under the statement's, so that the two are told apart.
    database_lock_timeout_s: kinds.Seconds = Field(
        5, ge=0.1, le=600, description="for another's lock (PostgreSQL)"
    )
    # SQLite waits in its thread, deaf to a stop: short here, the patience is outside.
    sqlite_busy_timeout_s: kinds.Seconds = Field(0.25, ge=0, le=10, description="for another writer (SQLite)")
