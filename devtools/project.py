"""Where things lie: the project's own folder and the cache of servers' programs."""

import os
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

CACHE_VARIABLE = "STREAM_WORKER_CACHE"


def cache_folder() -> Path:
    """Return the folder for fetched programs: STREAM_WORKER_CACHE, else `.cache/servers` in the project.

    RabbitMQ's scripts do not run from a path with spaces: a project in such a one uses the person's own cache.
    """
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).expanduser().absolute()
    home = Path.home() / ".cache/stream-worker" if " " in str(ROOT) else ROOT / ".cache"
    return home / "servers"


def system_cache(name: str) -> Path:
    """Return the folder for what was fetched as packages of this system, which it is named after too: a project
    folder may be shared with a container.
    """
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    parts = (system.get("ID", "unknown"), system.get("VERSION_ID", "rolling"), platform.machine())
    return cache_folder() / "-".join((name, *parts))


def say(line: str) -> None:
    """Write a line of progress to stderr, at once: stdout belongs to what a person copies from."""
    print(line, file=sys.stderr, flush=True)
