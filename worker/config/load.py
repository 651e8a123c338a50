"""Reading the settings from the environment, once; whatever is wrong with it ends in one readable line."""

import os
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from worker.config import secret_files
from worker.config.refusal import SettingsError
from worker.config.settings import PREFIX, Settings

_OPENING: Final = re.compile(
    r"Value error, |(?:Input|String) (?=should)"
)  # the variable's name stands there instead
_SETTINGS: Final = tuple(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
_VARIABLES: Final = (*_SETTINGS, *secret_files.ONE_FILE, secret_files.FOLDER)


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the validated settings from the `STREAMS_…` variables of the given (else the process's) environment.

    The two addresses may stand in files instead (`STREAMS_AMQP_URL_FILE`, `STREAMS_DATABASE_URL_FILE`), as
    containers are given secrets, and any setting in a file of its own name in the folder `STREAMS_SECRETS_DIR`.
    Any other variable or file with our prefix is refused: it is a misspelt one. Raises SettingsError.
    """
    everything = os.environ if environ is None else environ
    ours = {name: value for name, value in everything.items() if name.upper().startswith(PREFIX)}
    _refuse_unknown(ours, _VARIABLES)
    folder = ours.get(secret_files.FOLDER)
    files = secret_files.in_folder(folder) if folder else []
    _refuse_unknown((file.name.upper() for file in files), _SETTINGS, where=f" in {secret_files.FOLDER}")
    values = _from_environment(secret_files.with_secret_files(ours, files))
    try:
        return Settings(**values)
    except ValidationError as error:
        line = "; ".join(_sentence(detail) for detail in error.errors(include_input=False, include_url=False))
    raise SettingsError(line)  # out here, so that no traceback drags the rejected input along


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in environ.items()}  # it looks names up in lower case
    return source()


def _refuse_unknown(given: Iterable[str], known: Collection[str], *, where: str = "") -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SettingsError("; ".join(_suggest(name, known, where) for name in unknown))


def _suggest(name: str, known: Collection[str], where: str) -> str:
    printable = name if name.isprintable() else ascii(name)
    near = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    return f"{printable}{where} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _sentence(detail: ErrorDetails) -> str:
    location: tuple[Any, ...] = detail["loc"]
    message = _OPENING.sub("", detail["msg"])
    return f"{PREFIX}{str(location[0]).upper()} {message}" if location else message
