"""`events`: what the broker refuses to take, and trying it again."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.cli.failure import EXIT_AWAY, EXIT_CONFIG, EXIT_NOT_WELL, Failure, read_settings
from worker.cli.quiet import silence_libraries

if TYPE_CHECKING:
    from worker.config import Settings
    from worker.sql.parked import ParkedDevice

T = TypeVar("T")


@click.group()
def events() -> None:
    """Show events that the broker refuses; try again.

    Such an event is parked: the relay tries it rarely, and its device's later events wait behind it. No other
    device waits.
    """


@events.command()
@click.option("--limit", type=click.IntRange(1, 10_000), metavar="COUNT", default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each device.")
def parked(*, limit: int, as_json: bool) -> None:
    """Print a line for each parked device, by its id."""
    settings = read_settings()
    from worker.bootstrap import events as errands

    found = _run(settings, errands.parked(settings, limit=limit))
    for device in found.devices:
        click.echo(json.dumps(_members(device)) if as_json else _line(device))
    if not found.count:
        click.echo("nothing is parked", err=as_json)
    elif found.count > len(found.devices):
        click.echo(f"{found.count - len(found.devices)} more are parked; --limit shows more", err=True)


@events.command()
@click.argument("devices", metavar="[DEVICE]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are parked.")
@click.option("--dry-run", is_flag=True, help="Only say what would be tried again.")
def retry(*, devices: Sequence[str], every: bool, dry_run: bool) -> int:
    """Have parked devices tried again at the next look of a worker's relay.

    Do it when what kept the broker from taking the events is mended. Exits with 1 if a device is not parked.
    """
    if every == bool(devices):
        raise click.UsageError("Name the devices, or give --all.")
    settings = read_settings()
    from worker.bootstrap import events as errands

    freed = _run(settings, errands.free(settings, None if every else set(devices), dry_run=dry_run))
    for device_id in freed:
        click.echo(f"{device_id}: would be tried again" if dry_run else f"{device_id}: will be tried again")
    if every and not freed:
        click.echo("nothing is parked")
    wrong = sorted(set(devices) - set(freed))
    for device_id in wrong:
        click.echo(f"{device_id}: is not parked", err=True)
    return EXIT_NOT_WELL if wrong else 0


def _line(device: "ParkedDevice") -> str:
    waits = {0: "nothing waits", 1: "1 event waits"}.get(device.behind, f"{device.behind} events wait")
    return (
        f"{device.device_id}: event {device.sequence} ({device.type} {device.event_id}) was refused in "
        f"{device.refusals} rounds; parked since {_moment(device.parked_at)}, next try at "
        f"{_moment(device.retry_at)}; {waits} behind it"
    )


def _members(device: "ParkedDevice") -> dict[str, Any]:
    return {
        "device_id": device.device_id,
        "sequence": device.sequence,
        "type": device.type,
        "event_id": str(device.event_id),
        "refusals": device.refusals,
        "parked_at": _moment(device.parked_at),
        "retry_at": _moment(device.retry_at),
        "behind": device.behind,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _run(settings: "Settings", errand: Coroutine[Any, Any, T]) -> T:
    from migrations import runner
    from worker.bootstrap.epochs import NotMigrated
    from worker.service.ports import StoreConflict, StoreUnavailable

    silence_libraries()
    try:
        return asyncio.run(errand)
    except (NotMigrated, runner.UnknownRevision) as behind:
        raise Failure(EXIT_CONFIG, str(behind)) from behind
    except runner.DatabaseUnavailable as away:
        raise Failure(EXIT_AWAY, str(away)) from away
    except (StoreUnavailable, StoreConflict) as away:  # a worker may be at the same rows: asking again is harmless
        where = f"the database {settings.database_shown} of STREAMS_DATABASE_URL cannot be used"
        raise Failure(EXIT_AWAY, f"{where}: {away}") from away
