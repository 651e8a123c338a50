"""Rows that nobody else holds: what is not urgent takes those, and waits for nobody."""

from typing import Any

from sqlalchemy import ColumnElement, Select, Table, select, tuple_


def unlocked(table: Table, keys: Select[Any]) -> ColumnElement[bool]:
    """Return the condition that a row is one of those that `keys` selects, and that nobody else has locked it.

    `keys` selects primary keys from an alias of the table. It is a common table expression because PostgreSQL
    computes that once: a plain subquery may run again for each row, and its LIMIT would count anew each time. And
    it is nested because SQLite's driver counts the rows only of statements that begin with their verb.
    """
    free = keys.with_for_update(skip_locked=True).cte("free", nesting=True)  # SQLite has locked at BEGIN
    return tuple_(*table.primary_key).in_(select(free))
