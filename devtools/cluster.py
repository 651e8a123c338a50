"""The files of a private PostgreSQL server, and who owns them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from devtools.failures import CommandFailed, StartFailed
from devtools.postgresql import PostgresqlPrograms
from devtools.tool import run_tool

SUPERUSER = "postgres"

_INITDB_DEADLINE_S = 120.0


def server_user() -> str | None:
    """Return who must run the server: PostgreSQL refuses to be root, so root runs it as `nobody`."""
    return "nobody" if os.geteuid() == 0 else None


def readable(programs: PostgresqlPrograms, folder: Path) -> PostgresqlPrograms:
    """Return programs that the server's user can run: a copy in `folder` if the way to them is closed to it."""
    site = programs.site
    if server_user() is None or site is None or _is_open(programs.folder):
        return programs
    for part in programs.parts:
        shutil.copytree(site / part, folder / part, symlinks=True)
    return replace(programs, folder=folder / programs.folder.relative_to(site), site=folder)


def make_cluster(programs: PostgresqlPrograms, folder: Path, *, password: str, env: dict[str, str]) -> None:
    """Make an empty cluster in `folder`/data, whose superuser is `postgres`. Raises StartFailed."""
    user = server_user()
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        folder.chmod(0o755)  # the copied programs may lie here too
        shutil.chown(folder, user=user)
        shutil.chown(password_file, user=user)
    initdb = [programs.program("initdb"), "-D", str(folder / "data"), "-U", SUPERUSER]
    options = [f"--pwfile={password_file}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    try:
        run_tool([*initdb, *options], env=env, cwd=folder, deadline_s=_INITDB_DEADLINE_S, user=user)
    except CommandFailed as failure:
        raise StartFailed(f"PostgreSQL's files could not be made: {failure}") from failure
    password_file.unlink()


def _is_open(path: Path) -> bool:
    """Tell whether any user can get to `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
