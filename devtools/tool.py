"""A server's own tool, run to its end."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from devtools.failures import CommandFailed

_LINES_MAX = 5


def run_tool(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, deadline_s: float, user: str | None = None
) -> str:
    """Run `command` in `cwd` with exactly `env`, as `user` (else as us), and return what it prints.

    Raises CommandFailed with its last lines, also if it takes longer than `deadline_s`.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=deadline_s,
            user=user,
            extra_groups=None if user is None else [],
        )
    except subprocess.TimeoutExpired as failure:
        raise CommandFailed(f"{name} did not end within {deadline_s:.0f} s") from failure
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-_LINES_MAX:]
        raise CommandFailed("\n  ".join([f"{name} failed with exit code {done.returncode}:", *said]))
    return done.stdout
