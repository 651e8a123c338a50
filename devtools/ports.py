"""Free TCP ports on 127.0.0.1."""

import itertools
import secrets
import socket
from typing import Final

# Below what the kernel hands to outgoing connections (Linux from 32768, macOS from 49152). A port from bind(0) may
# be taken by any client while its server is down; a client that keeps knocking there can even reach itself.
_LOWEST: Final = 15_000
_HIGHEST: Final = 32_000
_TRIES_MAX: Final = 200

# One after another, each process from a place of its own: two that draw at random find the same port now and then,
# and two that some seed has made alike find it always. Whoever gets a port listens on it only some time later.
_next: Final = itertools.count(secrets.randbelow(_HIGHEST - _LOWEST))


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listened on a moment ago; the caller must live with losing the race.

    Raises OSError if none is found.
    """
    for _ in range(_TRIES_MAX):
        port = _LOWEST + next(_next) % (_HIGHEST - _LOWEST)
        if is_free(port):
            return port
    raise OSError(f"no free port found on 127.0.0.1 between {_LOWEST} and {_HIGHEST}")


def is_free(port: int) -> bool:
    """Tell whether `port` on 127.0.0.1 can be listened on now."""
    with socket.socket() as probe:
        # As the servers do it: without this, connections that ended a minute ago would still count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
