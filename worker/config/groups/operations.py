"""The process itself: its health, its logs, its end, its name."""

from pydantic import BaseModel, Field

from worker.config import kinds


class OperationSettings(BaseModel):
    """Of the settings, what whoever runs the process wants of it."""

    # How the worker is, is nobody's business unless asked for.
    http_host: str = Field("127.0.0.1", min_length=1, max_length=255, description="where health listens")
    http_port: int = Field(9464, ge=0, le=65_535, description="the port of health; 0 = off")
    # Under the 30 s after which Kubernetes kills.
    drain_timeout_s: kinds.Seconds = Field(20, ge=0, le=600, description="to finish what is in hand when stopping")
    log_level: kinds.LogLevel = Field("INFO", description="the least important lines that are written")
    # A terminal has a reader, a pipe has a collector.
    log_format: kinds.LogFormat = Field("auto", description="auto: console on a terminal, else json")
    worker_name: kinds.WorkerName = Field(
        default_factory=kinds.name_of_this_process, description="this worker in dead letters; default host:pid"
    )
