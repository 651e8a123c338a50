"""Which processes descend from a process."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

_DEADLINE_S = 10.0


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below `pid`, parents before children; empty if it has none or is gone.

    From /proc where there is one (a small container has no `ps`), else from `ps`.
    """
    parents = _parents()
    found = [pid]
    for parent in found:
        found += [child for child, its_parent in parents.items() if its_parent == parent]
    return found[1:]


def alive(pids: Iterable[int]) -> list[int]:
    """Return those of `pids` that still run; one that ended but was not collected by its parent does not."""
    return sorted(_parents().keys() & set(pids))


def _parents() -> dict[int, int]:
    return _from_proc() if Path("/proc/self/stat").exists() else _from_ps()


def _from_proc() -> dict[int, int]:
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (name) state ppid …": the name may hold spaces and brackets, so read from the last bracket on.
            state, ppid = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue  # it ended while we looked
        if state not in "ZX":
            parents[int(stat.parent.name)] = int(ppid)
    return parents


def _from_ps() -> dict[int, int]:
    command = ["ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "state="]
    listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_DEADLINE_S).stdout
    rows = (line.split() for line in listing.splitlines())
    return {int(pid): int(ppid) for pid, ppid, state in rows if not state.startswith("Z")}
