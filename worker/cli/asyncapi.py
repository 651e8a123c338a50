"""`asyncapi`: the contract, for programs and for people without the source."""

from importlib.util import find_spec
from pathlib import Path

import click


@click.command()
def asyncapi() -> None:
    """Print the contract as an AsyncAPI 3.1 document.

    All that a device or a subscriber needs to know, in YAML. Nothing is connected to, and no setting is read.
    """
    package = find_spec("schemas")  # found, not imported: its models would cost half a second
    assert package is not None  # noqa: S101 - it is in the same distribution
    assert package.origin is not None  # noqa: S101 - it is a package with an __init__
    click.echo(Path(package.origin).with_name("asyncapi.yaml").read_text("utf-8"), nl=False)
