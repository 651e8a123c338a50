"""`run`: the worker itself."""

import click

from worker.cli.failure import read_settings


@click.command()
def run() -> int:
    """Run the worker until SIGTERM or Ctrl-C; a second signal ends it at once.

    \b
    It drains first: takes nothing more, finishes what is in hand, and exits with 0.
    """
    settings = read_settings()  # first: a wrong setting is told before anything heavy is imported
    from worker import bootstrap

    return bootstrap.run(settings)
