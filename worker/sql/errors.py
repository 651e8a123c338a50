"""Where the libraries' errors stop: what a database error means to the service."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worker.service.ports import CommitUnknown, ServiceError, StoreConflict, StoreUnavailable


class Phase(Enum):
    """Where in a transaction an error came up; it decides what can have been saved."""

    CONNECT = auto()
    WORK = auto()
    COMMIT = auto()


class _Meaning(Enum):
    AWAY = auto()  # the database said no: nothing was saved
    LOST = auto()  # no answer, or the session ended: nothing was saved, unless this was the COMMIT
    CONFLICT = auto()


# https://www.postgresql.org/docs/current/errcodes-appendix.html, whole codes or their class
_BY_SQLSTATE: Final = {
    "08": _Meaning.LOST,  # connection exceptions
    "0A000": _Meaning.AWAY,  # a prepared statement is stale after a migration; the next attempt prepares it anew
    "23503": _Meaning.CONFLICT,  # foreign key: the row it needs was removed meanwhile
    "23505": _Meaning.CONFLICT,  # unique
    "25006": _Meaning.AWAY,  # read-only transaction: a standby, after a failover
    "25P03": _Meaning.LOST,  # idle-in-transaction timeout
    "25P04": _Meaning.LOST,  # transaction timeout
    "26000": _Meaning.AWAY,  # no such prepared statement: something between us and the database swaps sessions
    "3F000": _Meaning.AWAY,  # no such schema: like the missing things below, no command's fault
    "40001": _Meaning.CONFLICT,  # serialization failure
    "40003": _Meaning.LOST,  # statement completion unknown
    "40P01": _Meaning.CONFLICT,  # deadlock detected
    "42501": _Meaning.AWAY,  # no right to it
    "42703": _Meaning.AWAY,  # no such column
    "42704": _Meaning.AWAY,  # no such object
    "42883": _Meaning.AWAY,  # no such function
    "42P01": _Meaning.AWAY,  # no such table
    "42P05": _Meaning.AWAY,  # a prepared statement of that name is there: as 26000
    "42P10": _Meaning.AWAY,  # no such unique constraint, for ON CONFLICT
    "53": _Meaning.AWAY,  # insufficient resources: disk full, out of memory, too many connections
    "55P03": _Meaning.AWAY,  # lock timeout
    "57": _Meaning.LOST,  # operator intervention: statement timeout, shutdown, cannot connect now
    "58": _Meaning.AWAY,  # system error: I/O
    "XX001": _Meaning.AWAY,  # a corrupted table: writing on would make it worse
    "XX002": _Meaning.AWAY,  # a corrupted index
}

# https://www.sqlite.org/rescode.html: primary codes, and the extended ones of constraints
_BY_SQLITE_CODE: Final = {
    sqlite3.SQLITE_PERM: _Meaning.AWAY,
    sqlite3.SQLITE_BUSY: _Meaning.AWAY,
    sqlite3.SQLITE_LOCKED: _Meaning.AWAY,
    sqlite3.SQLITE_NOMEM: _Meaning.AWAY,
    sqlite3.SQLITE_READONLY: _Meaning.AWAY,
    sqlite3.SQLITE_IOERR: _Meaning.LOST,  # during COMMIT nobody knows what reached the disk
    sqlite3.SQLITE_CORRUPT: _Meaning.AWAY,  # writing on would make it worse
    sqlite3.SQLITE_FULL: _Meaning.AWAY,
    sqlite3.SQLITE_CANTOPEN: _Meaning.AWAY,
    sqlite3.SQLITE_PROTOCOL: _Meaning.AWAY,
    sqlite3.SQLITE_SCHEMA: _Meaning.AWAY,  # it was changed under a statement
    sqlite3.SQLITE_NOTADB: _Meaning.AWAY,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: _Meaning.CONFLICT,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _Meaning.CONFLICT,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _Meaning.CONFLICT,
}

# What SQLite says, under its code for everything else, of a file that is not migrated.
_NOT_THERE: Final = re.compile(r"no such (table|column|function|index)|table \S+ has no column named")


@contextmanager
def translated(phase: Phase) -> Iterator[None]:
    """Raise database errors as StoreUnavailable, StoreConflict or CommitUnknown, with a text of one line.

    What is none of these, a data error for one, is a defect of ours and passes through as it is.
    """
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError) as error:
        meaning = _meaning(error, phase)
        if meaning is None:
            raise
        raise _as_ours(meaning, phase)(_line(error)) from error


def _as_ours(meaning: _Meaning, phase: Phase) -> type[ServiceError]:
    if meaning is _Meaning.CONFLICT:
        return StoreConflict
    if meaning is _Meaning.LOST and phase is Phase.COMMIT:
        return CommitUnknown
    return StoreUnavailable


def _meaning(error: Exception, phase: Phase) -> _Meaning | None:
    if phase is Phase.CONNECT:
        return _Meaning.AWAY  # no command was looked at yet, so none can be to blame
    if not isinstance(error, DBAPIError):
        return _Meaning.LOST  # the socket's errors, and the drivers' timeouts
    if meaning := _by_code(error.orig):
        return meaning
    return _Meaning.LOST if error.connection_invalidated else None


def _by_code(error: BaseException | None) -> _Meaning | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0)  # errors of the module itself have none
        if code == sqlite3.SQLITE_ERROR and _NOT_THERE.match(str(error)):
            return _Meaning.AWAY
        return _BY_SQLITE_CODE.get(code) or _BY_SQLITE_CODE.get(code & 0xFF)
    state = _sqlstate(error) or ""
    return _BY_SQLSTATE.get(state) or _BY_SQLSTATE.get(state[:2])


def _sqlstate(error: BaseException | None) -> str | None:
    """Look at the adapted error and at the driver's own behind it: not all of them hand it over."""
    cause = error.__cause__ if error else None
    return getattr(error, "sqlstate", None) or getattr(cause, "sqlstate", None)


def _line(error: Exception) -> str:
    """Only the first line: the further ones quote statements and values."""
    told = error.orig if isinstance(error, DBAPIError) and error.orig else error
    lines = str(told).splitlines()
    return lines[0] if lines else type(told).__name__
