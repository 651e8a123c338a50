"""How a command fails: one line for people, a code for machines."""

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from worker.config import Settings

EXIT_NOT_WELL: Final = 1
EXIT_AWAY: Final = os.EX_UNAVAILABLE
EXIT_NO_ANSWER_YET: Final = os.EX_TEMPFAIL
EXIT_UNREADABLE: Final = os.EX_PROTOCOL
EXIT_CONFIG: Final = os.EX_CONFIG


class Failure(Exception):
    """Ends the program with one line on standard error, its text, and an exit code."""

    def __init__(self, exit_code: int, line: str) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def read_settings() -> "Settings":
    """Return the settings of the environment. Raises Failure."""
    from worker.config import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        raise Failure(EXIT_CONFIG, str(error)) from error
