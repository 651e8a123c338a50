"""`db`: the schema of the database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click

from worker.cli.failure import EXIT_AWAY, EXIT_CONFIG, EXIT_NOT_WELL, Failure, read_settings


@click.group()
def db() -> None:
    """Migrate the database, or ask for its revision."""


@db.command()
def upgrade() -> None:
    """Migrate to the revision that this program needs."""
    from migrations import runner

    settings = read_settings()
    url = settings.database_url.get_secret_value()
    with _readable_failures():
        before = runner.current(url)
        runner.upgrade(url)
        after = runner.current(url)
    change = f"is at {after} already" if before == after else f"went from {before or 'nothing'} to {after}"
    click.echo(f"{settings.database_shown} {change}")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def current(*, as_json: bool) -> None:
    """Print the database's revision."""
    from migrations import runner

    with _readable_failures():
        revision = runner.current(read_settings().database_url.get_secret_value())
    click.echo(json.dumps({"revision": revision}) if as_json else revision or "none")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, as_json: bool) -> int:
    """Look whether it is migrated.

    Exits with 0 if the database has the revision that this program needs, else with 1.
    """
    from migrations import runner

    settings = read_settings()
    with _readable_failures():
        found, needed = runner.current(settings.database_url.get_secret_value()), runner.head()
    if as_json:
        click.echo(json.dumps({"ok": found == needed, "revision": found, "needed": needed}))
    elif found == needed:
        click.echo(f"{settings.database_shown} is at {found}, as it should be")
    else:
        click.echo(f"{settings.database_shown} is at {found or 'nothing'}, not at {needed}")
        click.echo("Run `stream-worker db upgrade`.", err=True)
    return 0 if found == needed else EXIT_NOT_WELL


@contextmanager
def _readable_failures() -> Iterator[None]:
    from migrations import runner

    try:
        yield
    except runner.DatabaseUnavailable as away:
        raise Failure(EXIT_AWAY, str(away)) from away
    except runner.UnknownRevision as unknown:
        raise Failure(EXIT_CONFIG, str(unknown)) from unknown
