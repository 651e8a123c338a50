"""`topology`: the exchanges and queues on the broker."""

import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.cli.failure import EXIT_AWAY, EXIT_CONFIG, EXIT_NOT_WELL, Failure, read_settings
from worker.cli.quiet import silence_libraries

if TYPE_CHECKING:
    from worker.config import Settings

T = TypeVar("T")


@click.group()
def topology() -> None:
    """Make or check the exchanges and queues."""


@topology.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, as_json: bool) -> int:
    """Exit with 0 if nothing is missing, else with 1. Changes nothing."""
    settings = read_settings()
    from worker import bootstrap

    missing = _run(settings, bootstrap.check_topology(settings))
    if as_json:
        click.echo(json.dumps({"ok": not missing, "missing": missing}))
    elif missing:
        click.echo("\n".join(f"missing: {name}" for name in missing))
        click.echo("Run `stream-worker topology apply` with the rights to configure.", err=True)
    else:
        click.echo("nothing is missing")
    return EXIT_NOT_WELL if missing else 0


@topology.command()
def apply() -> None:
    """Make what is missing, as many partitions as are set too. Needs the right to configure."""
    settings = read_settings()
    from worker import bootstrap

    surplus = _run(settings, bootstrap.apply_topology(settings))
    click.echo(f"the exchanges and queues of {settings.namespace} are there")
    for queue in surplus:
        click.echo(f"{queue} gets nothing any more: delete it when the old workers have emptied it", err=True)


def _run(settings: "Settings", errand: Coroutine[Any, Any, T]) -> T:
    import asyncio

    from worker.amqp.topology import TopologyWrong
    from worker.bootstrap import BrokerUnavailable

    silence_libraries()
    try:
        return asyncio.run(errand)
    except BrokerUnavailable as away:
        where = f"the broker {settings.amqp_shown} of STREAMS_AMQP_URL cannot be used"
        raise Failure(EXIT_AWAY, f"{where}: {away}") from away
    except TopologyWrong as wrong:
        raise Failure(EXIT_CONFIG, str(wrong)) from wrong
