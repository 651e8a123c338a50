"""Settings that stand in files, as containers are given secrets; what a file holds never stands in an error."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from worker.config.refusal import SettingsError
from worker.config.settings import PREFIX

ONE_FILE: Final = {
    f"{PREFIX}AMQP_URL_FILE": f"{PREFIX}AMQP_URL",
    f"{PREFIX}DATABASE_URL_FILE": f"{PREFIX}DATABASE_URL",
}
"""Variables that hold the path of one setting's file."""

FOLDER: Final = f"{PREFIX}SECRETS_DIR"
"""The variable that holds the path of a folder, whose files are named like the settings that they hold."""

_CHARS_MAX: Final = 8_192


def in_folder(folder: str) -> list[Path]:
    """Return the files of a folder that are named like settings, in any case. Raises SettingsError.

    All else that lies there is somebody else's: Kubernetes has entries of its own there, which begin with dots.
    """
    try:
        files = sorted(Path(folder).iterdir())
    except (OSError, ValueError) as error:
        raise SettingsError(f"{FOLDER}: cannot read the folder: {_reason(error)}") from None
    return [file for file in files if file.name.upper().startswith(PREFIX)]


def with_secret_files(ours: Mapping[str, str], folder: Iterable[Path]) -> dict[str, str]:
    """Return the variables with what the files hold put in their place.

    Raises SettingsError, for a setting that is given twice too: which of the two is meant is not ours to guess.
    """
    values = {name: value for name, value in ours.items() if name not in ONE_FILE and name != FOLDER}
    for file_variable, variable in ONE_FILE.items():
        path = ours.get(file_variable)
        if path and variable in values:
            raise SettingsError(f"{variable} and {file_variable} are both set; set one")
        if path:
            values[variable] = _read(file_variable, Path(path))
    for file in folder:
        if file.name.upper() in values:
            raise SettingsError(f"{file.name.upper()} is set twice: {file.name} in {FOLDER} is one; set one")
        values[file.name.upper()] = _read(f"{file.name} in {FOLDER}", file)
    return values


def _read(what: str, path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()  # editors end a file with a newline
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{what}: cannot read the file: {_reason(error)}"
        ) from None  # the bytes stay out of it
    if len(secret) > _CHARS_MAX:
        raise SettingsError(f"{what}: the file holds no setting: it is over {_CHARS_MAX} characters")
    return secret


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "its name cannot be one"
