"""How a command fails: one line for people, a code for machines."""

import os
from typing import IO, TYPE_CHECKING, Any, Final

import click
from typing_extensions import override

if TYPE_CHECKING:
    from worker.config import Settings

EXIT_NOT_WELL: Final = 1
EXIT_AWAY: Final = os.EX_UNAVAILABLE
EXIT_NO_ANSWER_YET: Final = os.EX_TEMPFAIL
EXIT_UNREADABLE: Final = os.EX_PROTOCOL
EXIT_CONFIG: Final = os.EX_CONFIG


class Failure(click.ClickException):
    """Ends the program with one line on standard error and an exit code."""

    def __init__(self, exit_code: int, line: str) -> None:
        super().__init__(line)
        self.exit_code = exit_code

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"stream-worker: {self.message}", file=file, err=file is None)


def read_settings() -> "Settings":
    """Return the settings of the environment. Raises Failure."""
    from worker.config import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        raise Failure(EXIT_CONFIG, str(error)) from error
