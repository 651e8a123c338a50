"""The moments of a transaction at which it is hard to tell what became of it, on PostgreSQL."""

from typing import Any, Final

from tests.faults.harms_of_postgresql import OUR_PATIENCE, session
from tests.faults.outage import an_outage
from tests.faults.world import World
from tests.support.wire import eventually

DEATHS: Final = 5
LOST_ANSWERS: Final = 3
IN_BETWEEN: Final = 5  # answers
HELD_S: Final = 0.5
DEADLOCKS: Final = 2
ROUNDS_MAX: Final = 20

# It runs inside of COMMIT, and dies there; a sequence does not go back with the transaction.
_DIE: Final = """
CREATE SEQUENCE deaths;
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF nextval('deaths') <= %d THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON handled_commands
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();
"""
_HIGHEST: Final = "SELECT id FROM devices ORDER BY id DESC LIMIT 1 FOR UPDATE"
_THE_OTHERS: Final = "SELECT id FROM devices ORDER BY id DESC FOR UPDATE"
_WAITING: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND wait_event_type = 'Lock'
"""


async def died_in(world: World) -> None:
    """Have sessions die while they commit: nothing is saved, and the worker cannot know."""
    async with an_outage(world), session(world) as other:
        await other.execute(_DIE % DEATHS)

        async def look() -> bool:
            return bool(await other.fetchval("SELECT last_value FROM deaths") > DEATHS)

        try:
            await eventually(look)
        finally:
            await other.execute("DROP FUNCTION die CASCADE")


async def unanswered(world: World) -> None:
    """Cut the connection when the transaction is committed and its answer under way: all is saved, and the worker
    cannot know.
    """
    assert world.sql is not None
    async with an_outage(world), session(world) as other:
        for _ in range(LOST_ANSWERS):
            await world.answered(IN_BETWEEN)
            held = world.sql.delay(HELD_S, "to_client")
            try:
                await _commits(other)
                world.sql.cut()
            finally:
                held.remove()


async def _commits(connection: Any) -> None:
    """Wait until somebody has committed something."""
    before = await _handled(connection)

    async def look() -> bool:
        return await _handled(connection) > before

    await eventually(look)


async def _handled(connection: Any) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM handled_commands"))


async def deadlocked(world: World) -> None:
    """Lock the last device, and then the others, while the workers lock them the other way round."""
    async with an_outage(world), session(world) as other, session(world) as watching:
        await other.execute(f"SET deadlock_timeout = '{OUR_PATIENCE}'")
        for _ in range(ROUNDS_MAX):
            if _deadlocks(world) >= DEADLOCKS:
                return
            await _lock_backwards(other, watching)
        raise AssertionError(f"only {_deadlocks(world)} deadlocks in {ROUNDS_MAX} rounds")


async def _lock_backwards(other: Any, watching: Any) -> None:
    async def look() -> bool:
        return bool(await watching.fetchval(_WAITING))

    async with other.transaction():
        await other.execute(_HIGHEST)
        await eventually(look)
        await other.execute(_THE_OTHERS)


def _deadlocks(world: World) -> int:
    return sum(keeper.log.count("deadlock detected") for keeper in world.keepers)
