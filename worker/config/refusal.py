"""How settings are refused."""


class SettingsError(Exception):
    """The settings cannot be used. Its text is one line for the operator and holds no value of a secret."""
