"""The kinds of values that settings are made of: each checks what it is given, and says what it wants."""

import os
import re
import socket
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from worker.config.urls import check_amqp_url, check_database_url


def _amqp_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(check_amqp_url(secret.get_secret_value()))


def _database_secret(secret: SecretStr) -> SecretStr:
    return SecretStr(check_database_url(secret.get_secret_value()))


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _none_if_empty(value: object) -> object:
    return None if value == "" else value  # how a compose file passes on a variable that nobody set


def name_of_this_process() -> str:
    """Return host:pid; in a container the host's name is the container's."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


AmqpUrl = Annotated[SecretStr, AfterValidator(_amqp_secret)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_secret)]

OptionalBool = Annotated[bool | None, BeforeValidator(_none_if_empty)]
OptionalPattern = Annotated[re.Pattern[str] | None, BeforeValidator(_none_if_empty)]

Seconds = Annotated[float, Field(allow_inf_nan=False)]

LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
LogFormat = Literal["auto", "console", "json"]

# A queue's name holds 255 bytes, and we add a few words to it.
Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
# It stands in headers of dead letters.
WorkerName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,128}$")]
