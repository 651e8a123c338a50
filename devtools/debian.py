"""Programs from Debian's or Ubuntu's packages, without root and without touching the system.

apt fetches its lists and the packages into folders of our own, and dpkg-deb only unpacks. Nothing is installed.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from devtools.failures import CommandFailed, MissingPrograms
from devtools.project import say
from devtools.tool import run_tool

_DEADLINE_S = 600.0

# Read after the system's own settings. The hooks that are cleared would refresh the system's caches.
_SETTINGS = """\
Dir::State::lists "{work}/lists";
Dir::Cache "{work}/cache";
Debug::NoLocking "true";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""

# "Inst name (1.0 …)" is new on this machine; "Inst name [0.9] (1.0 …)" would replace what works already.
_NEW = re.compile(r"^Inst (\S+) \(", re.MULTILINE)
_ANY = re.compile(r"^Inst (\S+) ", re.MULTILINE)


def is_here() -> bool:
    """Tell whether this machine has the tools: apt-get and dpkg-deb."""
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def libraries(root: Path) -> str:
    """Return where the unpacked programs of `root` find their libraries: a value for LD_LIBRARY_PATH."""
    return ":".join(str(folder) for folder in (*root.glob("usr/lib/*-linux-*"), *root.glob("lib/*-linux-*")))


def unpack(*packages: str, also: str, into: Path, finish: Callable[[Path], None]) -> None:
    """Fetch `packages` and what they need, unpack it all, let `finish` put it right, and name the result `into`.

    `also` is a regular expression: packages whose names match it are fetched even if they are installed.
    `into` appears whole or not at all, also when several of us work on it at once.
    Raises MissingPrograms if the packages cannot be had.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetching-") as folder:
        work = Path(folder)
        root = _unpacked(packages, also, work)
        finish(root)
        try:
            root.rename(into)
        except OSError:
            if not into.is_dir():  # else another one was faster, with the same result
                raise


def _unpacked(packages: Sequence[str], also: str, work: Path) -> Path:
    for part in ("lists/partial", "cache/archives/partial", "packages", "root"):
        (work / part).mkdir(parents=True)
    settings = work / "apt.conf"
    settings.write_text(_SETTINGS.format(work=work))
    wanted = " and ".join(packages)
    say(f"fetching {wanted} from this system's package archive, into {work.parent}; nothing is installed")
    apt = ["apt-get", "-q", "-c", str(settings)]
    _run([*apt, "update"], work)
    names = _names(apt, packages, also, work)
    say(f"fetching {len(names)} packages: {' '.join(names)}")
    _run([*apt, "download", *names], work / "packages")
    for archive in sorted((work / "packages").glob("*.deb")):
        _run(["dpkg-deb", "-x", str(archive), str(work / "root")], work)
    return work / "root"


def _names(apt: Sequence[str], packages: Sequence[str], also: str, work: Path) -> list[str]:
    """Name what is missing on this machine, and of all that `packages` need what matches `also`."""
    install = ["--simulate", "--no-install-recommends", "install", *packages]
    missing = _NEW.findall(_run([*apt, *install], work))
    # Against an empty machine, so that what is installed is listed too.
    needed = _ANY.findall(_run([*apt, "-o", "Dir::State::status=/dev/null", *install], work))
    return sorted({*missing, *(name for name in needed if re.fullmatch(also, name))})


def _run(command: Sequence[str], cwd: Path) -> str:
    env = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return run_tool(command, env=env, cwd=cwd, deadline_s=_DEADLINE_S)
    except CommandFailed as failure:
        raise MissingPrograms(f"The packages could not be fetched: {failure}") from failure
