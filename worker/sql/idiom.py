"""What SQLite and PostgreSQL say in words of their own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from worker.service.stored import Changes
from worker.sql.save import save
from worker.sql.save_at_once import save_at_once


@dataclass(frozen=True, slots=True, kw_only=True)
class Idiom:
    """How a database is told. `insert` makes its own INSERT, the one that knows ON CONFLICT."""

    insert: Callable[[Table], Any]
    save: Callable[[AsyncConnection, Changes], Awaitable[None]]


SQLITE: Final = Idiom(insert=sqlite.insert, save=save)
# A statement is a round trip here, and a fifth of a millisecond.
POSTGRESQL: Final = Idiom(insert=postgresql.insert, save=save_at_once)
