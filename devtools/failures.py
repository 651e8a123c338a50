"""What can go wrong with a private server.

ServerFailure
├── MissingPrograms   the server's programs are neither here nor to be had
├── StartFailed       the programs are here, but the server did not come up
└── CommandFailed     a server's own tool said no
"""


class ServerFailure(Exception):
    """A private server cannot be had; the message is for the person at the terminal."""


class MissingPrograms(ServerFailure):
    """The server's programs are not on this machine and could not be fetched; the message names the choices."""


class StartFailed(ServerFailure):
    """The server did not come up within its deadline, or ended while starting; the message has its last words."""


class CommandFailed(ServerFailure):
    """One of the server's own tools ended with an error; the message has what it wrote."""
