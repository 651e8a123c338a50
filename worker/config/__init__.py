"""Settings: one frozen object, read from the environment and validated once; no secret in its repr."""

from worker.config.load import load_settings
from worker.config.refusal import SettingsError
from worker.config.settings import Settings

__all__ = ["Settings", "SettingsError", "load_settings"]
