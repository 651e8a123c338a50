"""Free TCP ports on 127.0.0.1."""

import random
import socket

# Below what the kernel hands to outgoing connections (Linux from 32768, macOS from 49152). A port from bind(0) may
# be taken by any client while its server is down; a client that keeps knocking there can even reach itself.
_LOWEST = 15_000
_HIGHEST = 32_000
_TRIES_MAX = 200


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listened on a moment ago; the caller must live with losing the race.

    Raises OSError if none is found.
    """
    for _ in range(_TRIES_MAX):
        port = random.randint(_LOWEST, _HIGHEST)  # noqa: S311 - to keep apart, not to keep secret
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
