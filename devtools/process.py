"""A program of ours in the background that cannot outlive us."""

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

# Reads one line from us and goes. If we die, however that happens, it reads the end of the pipe instead and
# ends the child's whole process group.
_GUARD = 'read -r word || kill -KILL "-$1"'
_COLLECT_DEADLINE_S = 10.0


class Child:
    """One running program in a session of its own, so that no signal from a terminal reaches it.

    Whatever happens to this process, SIGKILL included, the child's process group ends with it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path | None = None,
        user: str | None = None,
    ) -> None:
        """Start `argv` in `cwd` with exactly `env`, writing to `log` (else where we do), as `user` (else as us).

        Raises OSError if the program cannot be started. Another user takes root.
        """
        output = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        group = None if user is None else pwd.getpwnam(user).pw_gid
        try:
            self._program = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        finally:
            if output is not None:
                os.close(output)
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(self.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        """Keep the child for the length of a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it hard if it still runs."""
        self.kill()

    @property
    def pid(self) -> int:
        """The process id, and the id of its session and group."""
        return self._program.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._program.poll() is None

    def send(self, signum: signal.Signals) -> None:
        """Send a signal to the program itself; nothing happens if it has ended."""
        self._program.send_signal(signum)

    def send_group(self, signum: signal.Signals) -> None:
        """Send a signal to the program and all it started, as far as they stayed in its group."""
        # PermissionError is how macOS says that only ended ones are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)

    def wait(self, deadline_s: float | None = None) -> int | None:
        """Wait until it ends and return its exit code (minus the signal's number), or None if it still runs."""
        try:
            return self._program.wait(deadline_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, signum: signal.Signals, *, deadline_s: float) -> None:
        """Ask it to end with `signum`; what is left of it after `deadline_s` seconds is killed."""
        self.send(signum)
        self.wait(deadline_s)
        self.kill()

    def kill(self) -> None:
        """End the whole group with SIGKILL and let the guard go; may be called again."""
        self.send_group(signal.SIGKILL)
        self._program.wait(_COLLECT_DEADLINE_S)
        if self._guard.poll() is None:
            self._guard.communicate(b"done\n", timeout=_COLLECT_DEADLINE_S)
