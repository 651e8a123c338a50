"""A browser without a window: the one on this machine, else Debian's."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devtools import debian
from devtools.failures import MissingPrograms
from devtools.project import system_cache

_NAMES: Final = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)
_PACKAGE: Final = "chromium-headless-shell"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chromium:
    """Its program; `libraries` is a value for LD_LIBRARY_PATH."""

    program: Path
    libraries: str = ""

    @property
    def env(self) -> Mapping[str, str]:
        """What it has to be started with."""
        return {**os.environ, **({"LD_LIBRARY_PATH": self.libraries} if self.libraries else {})}


def chromium() -> Chromium:
    """Find Chromium, or fetch it into the cache folder; the second time nothing is fetched.

    Raises MissingPrograms.
    """
    return _on_this_machine() or _fetched() or _fetch()


def _on_this_machine() -> Chromium | None:
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return None if found is None else Chromium(program=Path(found))


def _fetched() -> Chromium | None:
    root = system_cache("chromium")
    program = root / "usr/lib/chromium" / _PACKAGE
    if not program.is_file():
        return None
    folders = {library.parent for top in ("usr/lib", "lib") for library in root.glob(f"{top}/*-linux-*/**/*.so*")}
    return Chromium(program=program, libraries=":".join(map(str, sorted(folders))))


def _fetch() -> Chromium:
    if not debian.is_here():
        raise MissingPrograms("No Chromium was found on this machine. Install it: no window is opened.")
    debian.unpack(_PACKAGE, also=r"chromium.*", into=system_cache("chromium"), finish=lambda _: None)
    found = _fetched()
    if found is None:
        raise MissingPrograms(f"This system's package {_PACKAGE} holds no program of that name. Install Chromium.")
    return found
