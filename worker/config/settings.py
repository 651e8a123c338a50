"""Everything that can be set, in one place, and what of it has to fit together."""

from typing import Final

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from worker.config.groups.broker import BrokerSettings
from worker.config.groups.database import DatabaseSettings
from worker.config.groups.operations import OperationSettings
from worker.config.groups.retention import RetentionSettings
from worker.config.groups.senders import SenderSettings
from worker.config.groups.work import WorkSettings
from worker.config.urls import is_sqlite, leaves_this_host_unencrypted, shown

PREFIX: Final = "STREAMS_"


class Settings(
    BrokerSettings,
    DatabaseSettings,
    WorkSettings,
    SenderSettings,
    RetentionSettings,
    OperationSettings,
    BaseSettings,
):
    """Everything that can be set, as one frozen value; `load_settings` makes it.

    Each member is the variable `STREAMS_<NAME>`; the groups that it is made of say what each is for, and why its
    default is what it is. The two addresses are secrets as a whole, and no error quotes what was given:
    `amqp_shown` and `database_shown` are for logs.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        if self.prefetch < self.batch_max:
            raise ValueError(
                f"{PREFIX}PREFETCH ({self.prefetch}) should be at least {PREFIX}BATCH_MAX ({self.batch_max}), "
                "or no batch could ever be full"
            )
        if self.prefetch <= self.partitions:
            raise ValueError(
                f"{PREFIX}PREFETCH ({self.prefetch}) should be more than {PREFIX}PARTITIONS ({self.partitions}): "
                "each partition, and the queue beside them, has a share of it"
            )
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError(f"{PREFIX}RECONNECT_MAX_S should be at least {PREFIX}RECONNECT_MIN_S")
        if leaves_this_host_unencrypted(self.amqp_url.get_secret_value()) and not self.amqp_plaintext:
            raise ValueError(
                f"{PREFIX}AMQP_URL begins with amqp:// and leads to another host: anybody on the way could read "
                f"the password. Write amqps://, or set {PREFIX}AMQP_PLAINTEXT=true where the network is your own"
            )
        return self

    @property
    def migrate_at_start(self) -> bool:
        """Whether `run` may migrate the database by itself."""
        chosen = self.database_migrate
        return is_sqlite(self.database_url.get_secret_value()) if chosen is None else chosen

    @property
    def amqp_shown(self) -> str:
        """The broker's host, port and virtual host."""
        return shown(self.amqp_url.get_secret_value())

    @property
    def database_shown(self) -> str:
        """The database's file, or its host, port and name."""
        return shown(self.database_url.get_secret_value())

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing behind the caller's back: `load_settings` reads the environment, once."""
        return (init_settings,)
