"""What Alembic runs: the revisions, on one connection, in one transaction."""

import asyncio
from typing import Final

from alembic import context
from sqlalchemy import Connection

from migrations.database import connected, lock

MIGRATION_S: Final = 3600.0  # nobody waits this long; but nothing waits for ever


def database_url() -> str:
    """Return the URL we were given, or else the one in the worker's settings."""
    given = context.config.attributes.get("database_url")
    if given is not None:
        return str(given)
    from worker.config import load_settings  # noqa: PLC0415 - whoever gives a URL needs no settings

    return load_settings().database_url.get_secret_value()


def run(connection: Connection) -> None:
    """Run the revisions inside the connection's transaction: both databases can take back what is half done."""
    # SQLite cannot alter most of a table: Alembic then makes a new one and copies.
    context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
    context.run_migrations()


async def main() -> None:
    """Connect, wait for others who migrate, and migrate."""
    async with connected(database_url(), within_s=MIGRATION_S) as connection:
        await lock(connection)
        await connection.run_sync(run)


asyncio.run(main())
