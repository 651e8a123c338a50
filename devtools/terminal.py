"""What a person can type in a second terminal while the worker runs."""

import shlex
from collections.abc import Mapping
from pathlib import Path

# What a second terminal must know to reach the same worker, and may be seen on a screen.
_SHOWN = ("STREAMS_NAMESPACE",)


def lines(worker: Path, given: Mapping[str, str], private_url: str | None) -> list[str]:
    """Return the three commands, after a sentence.

    `given` is the environment that the worker was started from. The address of a private node is part of the
    commands; one that was given never is: it may hold a password.
    """
    settings = {name: given[name] for name in _SHOWN if name in given}
    sentence = "In a second terminal, from any folder:"
    if private_url is None:
        sentence = "In a second terminal, from any folder, with the same STREAMS_AMQP_URL as in this one:"
    else:
        settings["STREAMS_AMQP_URL"] = private_url
    prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in sorted(settings.items()))
    program = prefix + shlex.quote(str(worker))
    return [
        sentence,
        f"  {program} send create cam-1",
        f"  {program} watch",
        f"  {program} send stop --device cam-1",
    ]
