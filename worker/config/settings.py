"""What can be set, within which limits, and why the defaults are what they are."""

from typing import Final, Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from worker.config import kinds
from worker.config.urls import is_sqlite, shown

PREFIX: Final = "STREAMS_"

_BROKER: Final = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
_FILE: Final = SecretStr("sqlite+aiosqlite:///var/streams.db")


class Settings(BaseSettings):
    """Everything that can be set, as one frozen value; `load_settings` makes it.

    Each member is the variable `STREAMS_<NAME>`. The two addresses are secrets as a whole, and no error quotes
    what was given: `amqp_shown` and `database_shown` are for logs.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True
    )

    # What a broker fresh from its package lets in; needs nothing but the broker.
    amqp_url: kinds.AmqpUrl = Field(_BROKER, description="the broker, with user, password and virtual host")
    # Needs nothing but a folder.
    database_url: kinds.DatabaseUrl = Field(_FILE, description="sqlite+aiosqlite://… or postgresql+asyncpg://…")
    # A file of our own is ours to change; a shared server has an owner, and other workers on it.
    database_migrate: kinds.OptionalBool = Field(
        None, description="migrate at start; default: SQLite yes, else no"
    )

    namespace: kinds.Namespace = Field("streams", description="how exchanges' and queues' names begin")
    # What works at once. A production user has no right to configure, and says check.
    topology: Literal["declare", "check"] = Field("declare", description="make exchanges and queues, or only look")

    # A transaction's fixed cost is spread thin by then, and it still ends in tens of milliseconds. The limit: a
    # few bound parameters a row, and a statement takes some 32,700.
    batch_max: int = Field(256, ge=1, le=2_000, description="commands in one transaction at most")
    # Two batches: one being confirmed, the next being decided. AMQP counts it in 16 bits; 0 would be no limit.
    prefetch: int = Field(512, ge=1, le=65_535, description="unacknowledged commands in hand at most")
    # A reply address lets a sender choose a queue of the broker: the contract's own three kinds are enough.
    reply_to_pattern: kinds.OptionalPattern = Field(
        None, description="replies may also go where this fully matches"
    )

    # How the worker is, is nobody's business unless asked for.
    http_host: str = Field("127.0.0.1", min_length=1, max_length=255, description="where health listens")
    http_port: int = Field(9464, ge=0, le=65_535, description="the port of health; 0 = off")

    # The client gives up after three, and a second each: 33 s. At 600 a dead broker goes unseen for half an hour.
    heartbeat_s: int = Field(10, ge=2, le=600, description="between heartbeats to the broker")
    # TCP, TLS and login over any sane network.
    connect_timeout_s: kinds.Seconds = Field(
        10, ge=0.1, le=120, description="one attempt to connect to the broker"
    )
    # A quorum queue answers in milliseconds; electing its leader takes a few seconds.
    confirm_timeout_s: kinds.Seconds = Field(10, ge=0.1, le=120, description="for the broker to confirm a publish")
    # An acknowledgement has no answer: only a blocked connection makes it wait.
    settle_timeout_s: kinds.Seconds = Field(5, ge=0.1, le=120, description="for an acknowledgement to leave")
    # Under the 30 s after which Kubernetes kills.
    drain_timeout_s: kinds.Seconds = Field(20, ge=0, le=600, description="to finish what is in hand when stopping")
    # A restarted broker is often back at once …
    reconnect_min_s: kinds.Seconds = Field(0.2, ge=0.01, le=60, description="first pause before connecting again")
    # … and else: long enough to spare a broker that is starting, short enough for whoever waits.
    reconnect_max_s: kinds.Seconds = Field(
        10, ge=0.01, le=600, description="longest pause before connecting again"
    )

    # A batch takes tens of milliseconds: a statement of ten seconds is stuck.
    database_timeout_s: kinds.Seconds = Field(10, ge=0.1, le=600, description="one statement")
    # Another worker holds a device for one batch. Under the statement's, so that the two are told apart.
    database_lock_timeout_s: kinds.Seconds = Field(
        5, ge=0.1, le=600, description="for another's lock (PostgreSQL)"
    )
    # SQLite waits in its thread, deaf to a stop: short here, the patience is outside.
    sqlite_busy_timeout_s: kinds.Seconds = Field(0.25, ge=0, le=10, description="for another writer (SQLite)")

    # Over the time that a batch, its confirms and a redelivery take.
    relay_grace_s: kinds.Seconds = Field(30, ge=0, le=86_400, description="that an event may stay unpublished")
    # An indexed look for nulls; it is a net under the pipeline, not part of it.
    relay_interval_s: kinds.Seconds = Field(10, ge=0.05, le=3_600, description="between the relay's looks")
    # As a batch: what one transaction and one round of confirms carry well.
    relay_batch_max: int = Field(256, ge=1, le=2_000, description="events that the relay takes up at once at most")
    # A full queue seldom empties within a moment; the relay has the patience.
    event_retries: int = Field(3, ge=0, le=100, description="times that a refused event is tried again in place")

    log_level: kinds.LogLevel = Field("INFO", description="the least important lines that are written")
    # A terminal has a reader, a pipe has a collector.
    log_format: kinds.LogFormat = Field("auto", description="auto: console on a terminal, else json")
    worker_name: kinds.WorkerName = Field(
        default_factory=kinds.name_of_this_process, description="this worker in dead letters; default host:pid"
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        if self.prefetch < self.batch_max:
            raise ValueError(
                f"{PREFIX}PREFETCH ({self.prefetch}) should be at least {PREFIX}BATCH_MAX ({self.batch_max}), "
                "or no batch could ever be full"
            )
        if self.reconnect_max_s < self.reconnect_min_s:
            raise ValueError(f"{PREFIX}RECONNECT_MAX_S should be at least {PREFIX}RECONNECT_MIN_S")
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
