"""The programs of RabbitMQ: those on this machine, else fetched ones."""

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from devtools import debian
from devtools.failures import CommandFailed, MissingPrograms
from devtools.project import ROOT, system_cache
from devtools.tool import run_tool

_CHOICES = """\
No RabbitMQ was found on this machine, and none could be fetched{why}. Any one of these will do:
  - a broker of yours:    export STREAMS_AMQP_URL=amqp://user:password@host:5672/
  - your package manager: install rabbitmq-server (no service needs to run)
  - Homebrew:             brew install rabbitmq
  - Docker:               docker run --rm -p 127.0.0.1:5672:5672 rabbitmq:4
                          export STREAMS_AMQP_URL=amqp://guest:guest@127.0.0.1:5672/
Tests take no broker of yours: they need the programs."""

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_BREW_DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RabbitmqPrograms:
    """What it takes to run a node: `path` and `libraries` are values for PATH and LD_LIBRARY_PATH."""

    server: Path
    ctl: Path
    epmd: Path
    path: str
    libraries: str = ""


def rabbitmq() -> RabbitmqPrograms:
    """Find RabbitMQ, or fetch it into the cache folder; the second time nothing is fetched.

    Raises MissingPrograms with the choices that are left.
    """
    return on_this_machine() or fetched() or from_homebrew() or _fetch()


def on_this_machine() -> RabbitmqPrograms | None:
    """Find an installed RabbitMQ: the real script, not the wrapper on PATH, which changes user and folder."""
    homes = [home for folder in ("/usr/lib", "/usr/local/lib") for home in newest(Path(folder, "rabbitmq/lib"))]
    if wrapper := shutil.which("rabbitmq-server"):
        homes.append(Path(wrapper).resolve().parent.parent)
    return programs_in(homes, erlang=f"{os.environ.get('PATH', '')}:/usr/lib/erlang/bin:/usr/lib64/erlang/bin")


def fetched() -> RabbitmqPrograms | None:
    """Find what an earlier call has fetched for this system."""
    root = system_cache("rabbitmq")
    programs = programs_in(newest(root / "usr/lib/rabbitmq/lib"), erlang=str(root / "usr/lib/erlang/bin"))
    return programs and replace(programs, libraries=debian.libraries(root))


def from_homebrew() -> RabbitmqPrograms | None:
    """Find a RabbitMQ that Homebrew has installed, linked or not."""
    if shutil.which("brew") is None:
        return None
    try:
        asked = run_tool(
            ["brew", "--prefix", "rabbitmq", "erlang"], env=os.environ, cwd=ROOT, deadline_s=_BREW_DEADLINE_S
        )
    except CommandFailed:
        return None
    home, erlang = asked.splitlines()
    return programs_in([Path(home)], erlang=f"{erlang}/bin:{erlang}/lib/erlang/bin")


def newest(folder: Path) -> list[Path]:
    """Return the `rabbitmq_server-*` folders in `folder`, highest version first."""
    homes = folder.glob("rabbitmq_server-*")
    return sorted(homes, key=lambda home: [int(part) for part in re.findall(r"\d+", home.name)], reverse=True)


def programs_in(homes: Iterable[Path], *, erlang: str) -> RabbitmqPrograms | None:
    """Return the programs of the first of `homes` that is a real one; `erlang` is a PATH to look on for Erlang."""
    erl, epmd = shutil.which("erl", path=erlang), shutil.which("epmd", path=erlang)
    for home in homes:
        server, ctl = home / "sbin/rabbitmq-server", home / "sbin/rabbitmqctl"
        if erl and epmd and server.is_file() and ctl.is_file() and (home / "plugins").is_dir():
            path = f"{Path(erl).parent}:{_SYSTEM_PATH}"
            return RabbitmqPrograms(server=server, ctl=ctl, epmd=Path(epmd), path=path)
    return None


def _fetch() -> RabbitmqPrograms:
    if not debian.is_here():
        raise MissingPrograms(_CHOICES.format(why=""))
    try:
        debian.unpack(
            "rabbitmq-server", also=r"erlang-.*|rabbitmq-server", into=system_cache("rabbitmq"), finish=_relocate
        )
    except MissingPrograms as failure:
        raise MissingPrograms(f"{failure}\n\n{_CHOICES.format(why=' (see above)')}") from failure
    programs = fetched()
    if programs is None:
        raise MissingPrograms(_CHOICES.format(why=": the packages of this system hold no usable one"))
    return programs


def _relocate(root: Path) -> None:
    """Make Erlang's start script look for the rest beside itself, wherever the folder stands."""
    script = root / "usr/lib/erlang/bin/erl"
    beside = 'ROOTDIR="$(dirname "$(dirname "$0")")"'
    script.write_text(re.sub(r'ROOTDIR="?/usr/lib/erlang"?', beside, script.read_text()))
