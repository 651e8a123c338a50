"""The command line, `stream-worker`: one file a command, which imports what it needs when it runs.

Exit codes, for machines: 0 well, 1 not well (a problem, a check that fails), 2 wrong usage, 130 Ctrl-C, and of
sysexits.h 69 for a broker or database that is away, 70 for a defect, 75 for an answer that did not come
in time, 76 for one that cannot be read, 78 for what somebody has to set right first.
"""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from worker.cli.failure import Failure
from worker.cli.group import Commands

EXIT_INTERRUPTED = 130


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"stream-worker {version('stream-worker')}")
        except PackageNotFoundError:
            click.echo("stream-worker, run from its source folder without being installed")
        context.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Print the version."
)
def program() -> None:
    """Carry out stream commands from RabbitMQ, exactly once, and say what happened.

    Everything is set by STREAMS_… variables of the environment, first of all STREAMS_AMQP_URL and
    STREAMS_DATABASE_URL.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. Each command returns its exit code; failures are one line, not tracebacks."""
    try:
        code = program.main(arguments, prog_name="stream-worker", standalone_mode=False)
    except Failure as failure:
        click.echo(f"stream-worker: {failure}", err=True)
        sys.exit(failure.exit_code)
    except click.ClickException as misuse:
        misuse.show()
        sys.exit(misuse.exit_code)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code)
