"""The list of commands, each imported when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click
from typing_extensions import override

_MODULES: Final[Mapping[str, str]] = {
    "run": "worker.cli.run",
    "db": "worker.cli.db",
    "topology": "worker.cli.topology",
    "health": "worker.cli.health",
    "send": "worker.cli.send",
    "watch": "worker.cli.watch",
    "dead": "worker.cli.dead",
    "events": "worker.cli.events",
    "asyncapi": "worker.cli.asyncapi",
}


class Commands(click.Group):
    """Finds each command in the module of its name.

    `--help` imports them all, for their first lines; what is heavy they import themselves when they run.
    """

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        command = getattr(import_module(_MODULES[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a promise of our own modules
        return command
