"""What the worker asks of migrations: plain functions, each in an event loop of its own.

Call them where no loop runs: from a program's start, or from another thread (`asyncio.to_thread`).
"""

import asyncio
import threading
from collections.abc import Callable
from importlib.resources import files
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from migrations.database import DatabaseUnavailable, connected, exists

__all__ = ["DatabaseUnavailable", "UnknownRevision", "current", "downgrade", "head", "is_current", "upgrade"]

# Alembic hands its context to `env.py` in a variable of its module: one at a time in a process.
_turn: Final = threading.Lock()


class UnknownRevision(Exception):
    """The revision asked for, or the database's own, is none of ours. One line, with what to do."""


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate up to a revision; all of it or nothing. Waits for another worker that does the same.

    On SQLite the file and its folder are made. Raises DatabaseUnavailable or UnknownRevision.
    """
    _run(command.upgrade, url, revision)


def downgrade(url: str, revision: str) -> None:
    """Migrate down to a revision, `base` for none; all of it or nothing. Raises as `upgrade` does."""
    _run(command.downgrade, url, revision)


def head() -> str:
    """Return the newest revision, the one this program needs."""
    (newest,) = ScriptDirectory.from_config(_config()).get_heads()
    return newest


def current(url: str) -> str | None:
    """Return the database's revision, or None where it has none. Changes nothing. Raises DatabaseUnavailable."""
    return asyncio.run(_current(url)) if exists(url) else None


def is_current(url: str) -> bool:
    """Whether the database has the revision this program needs. Raises DatabaseUnavailable."""
    return current(url) == head()


async def _current(url: str) -> str | None:
    async with connected(url, writing=False) as connection:
        return await connection.run_sync(_revision)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _run(act: Callable[[Config, str], None], url: str, revision: str) -> None:
    config = _config()
    config.attributes["database_url"] = url  # not as an option: Alembic would read % in a password as its own
    try:
        with _turn:
            act(config, revision)
    except CommandError as error:
        raise UnknownRevision(f"{error}; is the database newer than this program?") from error


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
