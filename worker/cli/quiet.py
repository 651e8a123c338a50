"""Keeping a terminal for what was asked."""

import logging


def silence_libraries() -> None:
    """Print no log lines: what goes wrong is said once, by the command, as its result."""
    logging.getLogger().addHandler(logging.NullHandler())
