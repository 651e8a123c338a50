"""What a shell needs to speak AMQP: amqp-tools and jq, those on this machine, else fetched ones."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from devtools import debian
from devtools.failures import MissingPrograms
from devtools.project import system_cache

_PROGRAMS = ("amqp-consume", "jq")
_LIBRARIES = r"lib(?:rabbitmq|popt|jq|onig)\d.*"
_CHOICES = """\
amqp-tools and jq were not found on this machine, and could not be fetched{why}. Your package manager may have
them; with Homebrew: brew install rabbitmq-c jq"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShellPrograms:
    """What a script's environment has to have, to find them."""

    environment: Mapping[str, str] = field(default_factory=dict)


def shell_programs() -> ShellPrograms:
    """Find them, or fetch them into the cache folder; the second time nothing is fetched.

    Raises MissingPrograms with the choices that are left.
    """
    return _on_this_machine() or _fetched() or _fetch()


def _on_this_machine() -> ShellPrograms | None:
    return ShellPrograms() if all(map(shutil.which, _PROGRAMS)) else None


def _fetched() -> ShellPrograms | None:
    root = system_cache("amqp-tools")
    path = str(root / "usr/bin")
    if not all(shutil.which(name, path=path) for name in _PROGRAMS):
        return None
    return ShellPrograms(
        environment={
            "PATH": f"{path}:{os.environ.get('PATH', os.defpath)}",
            "LD_LIBRARY_PATH": debian.libraries(root),
        }
    )


def _fetch() -> ShellPrograms:
    if not debian.is_here():
        raise MissingPrograms(_CHOICES.format(why=""))
    also = rf"amqp-tools|jq|{_LIBRARIES}"
    try:
        debian.unpack("amqp-tools", "jq", also=also, into=system_cache("amqp-tools"), finish=lambda _: None)
    except MissingPrograms as failure:
        raise MissingPrograms(f"{failure}\n\n{_CHOICES.format(why=' (see above)')}") from failure
    programs = _fetched()
    if programs is None:
        raise MissingPrograms(_CHOICES.format(why=": the packages of this system hold no usable ones"))
    return programs
