"""The files of a private PostgreSQL server, and who owns them."""

import os
import shutil
import subprocess
from pathlib import Path

from devtools.failures import StartFailed
from devtools.postgresql import PostgresqlPrograms

SUPERUSER = "postgres"

_INITDB_DEADLINE_S = 120.0


def server_user() -> str | None:
    """Return who must run the server: PostgreSQL refuses to be root, so root runs it as `nobody`."""
    return "nobody" if os.geteuid() == 0 else None


def readable(programs: PostgresqlPrograms, folder: Path) -> PostgresqlPrograms:
    """Return programs that the server's user can run: a copy in `folder` if the way to them is closed to others."""
    if server_user() is None or programs.home is None or _is_open(programs.home):
        return programs
    # The programs find their libraries and files beside themselves.
    home = folder / programs.home.name
    if not home.exists():
        shutil.copytree(programs.home, home, symlinks=True)
    return PostgresqlPrograms(folder=home / programs.folder.relative_to(programs.home), home=home)


def make_cluster(
    programs: PostgresqlPrograms, folder: Path, *, password: str, environment: dict[str, str]
) -> Path:
    """Make an empty cluster in `folder`, whose superuser is `postgres`, and return its data folder.

    Raises StartFailed if initdb does.
    """
    user = server_user()
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        folder.chmod(0o755)
        shutil.chown(folder, user=user)
        shutil.chown(password_file, user=user)
    data = folder / "data"
    command = [
        programs.program("initdb"), "-D", str(data), "-U", SUPERUSER, "--pwfile", str(password_file),
        "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
    ]  # fmt: skip
    done = subprocess.run(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=_INITDB_DEADLINE_S, user=user, extra_groups=None if user is None else [],
    )  # fmt: skip
    password_file.unlink()
    if done.returncode != 0:
        raise StartFailed(f"initdb failed:\n{done.stderr.strip()}")
    return data


def _is_open(path: Path) -> bool:
    """Tell whether any user can get to `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
