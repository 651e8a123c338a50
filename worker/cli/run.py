"""`run`: the worker itself."""

import click

from worker.cli.failure import read_settings


@click.command()
def run() -> int:
    """Run the worker until it is told to stop.

    At SIGTERM or Ctrl-C it takes nothing more, finishes what is in hand, and exits with 0; a second one ends it at
    once.
    """
    settings = read_settings()  # first: a wrong setting is told before anything heavy is imported
    from worker import bootstrap

    return bootstrap.run(settings)
