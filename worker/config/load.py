"""Reading the settings from the environment, once; whatever is wrong with it ends in one readable line."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource

from worker.config.settings import PREFIX, Settings

_SECRET_FILES: Final = {
    f"{PREFIX}AMQP_URL_FILE": f"{PREFIX}AMQP_URL",
    f"{PREFIX}DATABASE_URL_FILE": f"{PREFIX}DATABASE_URL",
}
_SECRET_FILE_CHARS_MAX: Final = 8_192
_OPENING: Final = re.compile(
    r"Value error, |(?:Input|String) (?=should)"
)  # the variable's name stands there instead


class SettingsError(Exception):
    """The settings cannot be used. Its text is one line for the operator and holds no value of a secret."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Return the validated settings from the `STREAMS_…` variables of the given (else the process's) environment.

    The two addresses may stand in files instead (`STREAMS_AMQP_URL_FILE`, `STREAMS_DATABASE_URL_FILE`), as
    containers are given secrets. Any other variable with our prefix is refused: it is a misspelt one.
    Raises SettingsError.
    """
    everything = os.environ if environ is None else environ
    ours = {name: value for name, value in everything.items() if name.upper().startswith(PREFIX)}
    _refuse_unknown(ours)
    values = _from_environment(_with_secret_files(ours))
    try:
        return Settings(**values)
    except ValidationError as error:
        line = "; ".join(_sentence(detail) for detail in error.errors(include_input=False, include_url=False))
    raise SettingsError(line)  # out here, so that no traceback drags the rejected input along


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in environ.items()}  # it looks names up in lower case
    return source()


def _refuse_unknown(ours: Mapping[str, str]) -> None:
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    unknown = sorted(set(ours) - set(known) - set(_SECRET_FILES))
    if unknown:
        raise SettingsError("; ".join(_suggest(name, [*known, *_SECRET_FILES]) for name in unknown))


def _suggest(name: str, known: list[str]) -> str:
    printable = name if name.isprintable() else ascii(name)
    near = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    return f"{printable} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _with_secret_files(ours: Mapping[str, str]) -> dict[str, str]:
    values = dict(ours)
    for file_variable, variable in _SECRET_FILES.items():
        path = values.pop(file_variable, "")
        if path and variable in values:
            raise SettingsError(f"{variable} and {file_variable} are both set; set one")
        if path:
            values[variable] = _read_secret(file_variable, Path(path))
    return values


def _read_secret(variable: str, path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()  # editors end a file with a newline
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"{variable}: cannot read the file: {reason}") from None  # the bytes stay out of it
    if len(secret) > _SECRET_FILE_CHARS_MAX:
        raise SettingsError(f"{variable}: the file is no address: it is over {_SECRET_FILE_CHARS_MAX} characters")
    return secret


def _sentence(detail: ErrorDetails) -> str:
    location: tuple[Any, ...] = detail["loc"]
    message = _OPENING.sub("", detail["msg"])
    return f"{PREFIX}{str(location[0]).upper()} {message}" if location else message
