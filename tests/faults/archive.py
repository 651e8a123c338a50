"""Keeps what is pruned, by triggers in the database: whoever judges a trial wants to see all that ever was."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Column, MetaData, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.faults.snapshot import EventRow, HandledRow, Snapshot, connected, read_snapshot, rows_of
from worker.sql.tables import handled_commands, stream_events

_PRUNED: Final = (handled_commands, stream_events)
_metadata: Final = MetaData()
# Without keys: what should never be there twice can be seen if it is.
_ARCHIVES: Final[Mapping[str, Table]] = {
    table.name: Table(f"pruned_{table.name}", _metadata, *(Column(c.name, c.type) for c in table.columns))
    for table in _PRUNED
}


async def keep_what_is_pruned(database_url: str) -> None:
    """Copy each row of these tables that is deleted from now on."""
    async with connected(database_url) as connection:
        await connection.run_sync(_metadata.create_all)
        for table in _PRUNED:
            await _copy_deleted(connection, table)
        await connection.commit()


async def read_all_that_was(database_url: str) -> Snapshot:
    """Read the tables as if nothing had been pruned."""
    now = await read_snapshot(database_url)
    async with connected(database_url) as connection:
        handled = await rows_of(connection, _ARCHIVES[handled_commands.name], HandledRow)
        events = await rows_of(connection, _ARCHIVES[stream_events.name], EventRow)
    return replace(
        now,
        handled=tuple(sorted((*handled, *now.handled), key=lambda row: row.key)),
        events=tuple(sorted((*events, *now.events), key=lambda row: (row.device_id, row.sequence))),
    )


async def _copy_deleted(connection: AsyncConnection, table: Table) -> None:
    old = ", ".join(f"OLD.{column.name}" for column in table.columns)
    copy = f"INSERT INTO pruned_{table.name} VALUES ({old})"  # noqa: S608 - names of our own
    trigger = f"CREATE TRIGGER keep_{table.name} AFTER DELETE ON {table.name} FOR EACH ROW"
    if connection.dialect.name == "sqlite":
        await connection.execute(text(f"{trigger} BEGIN {copy}; END"))
        return
    function = f"keep_{table.name}()"
    body = f"$$ BEGIN {copy}; RETURN OLD; END $$"
    await connection.execute(text(f"CREATE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS {body}"))
    await connection.execute(text(f"{trigger} EXECUTE FUNCTION {function}"))
