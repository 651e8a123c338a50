"""The kinds of values that settings are made of: each checks what it is given, and says what it wants."""

import os
import re
import socket
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from worker.config.urls import check_amqp_url, check_database_url


def _amqp_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(check_amqp_url(secret.get_secret_value()))


def _database_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(check_database_url(secret.get_secret_value()))


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value  # how a compose file passes on a variable that nobody set


_USER_BYTES_MAX: Final = 255  # AMQP counts them in one byte


def _names(value: object) -> object:
    """Split at commas; a name that cannot be one would let nobody in, and nobody would be told."""
    if not isinstance(value, str):
        return value
    names = frozenset(name.strip() for name in value.split(",")) if value.strip() else frozenset()
    if not all(name and name.isprintable() and len(name.encode()) <= _USER_BYTES_MAX for name in names):
        raise ValueError("should be user names with commas between them, none empty or over 255 bytes")
    return names


def name_of_this_process() -> str:
    """Return host:pid; in a container the host's name is the container's."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


AmqpUrl = Annotated[SecretStr, AfterValidator(_amqp_secret)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_secret)]

OptionalBool = Annotated[bool | None, BeforeValidator(_none_if_empty)]
OptionalPattern = Annotated[re.Pattern[str] | None, BeforeValidator(_none_if_empty)]

Seconds = Annotated[float, Field(allow_inf_nan=False)]
OptionalSeconds = Annotated[Seconds | None, BeforeValidator(_none_if_empty)]

# Else what stands in the environment would have to be JSON.
UserNames = Annotated[frozenset[str], NoDecode, BeforeValidator(_names)]

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
LogFormat = Literal["auto", "console", "json"]

# A queue's name holds 255 bytes, and we add a few words to it.
Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# It stands in headers of dead letters.
WorkerName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
