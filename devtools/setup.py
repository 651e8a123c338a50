"""`python -m devtools.setup`: have the servers' programs ready; with `--tools`, what only the tests need.

Quick and silent the second time.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

from devtools.failures import MissingPrograms
from devtools.nodejs import packages
from devtools.postgresql import postgresql
from devtools.project import ROOT, say
from devtools.rabbitmq import rabbitmq
from devtools.shell import shell_programs

_PACKAGES: Final = (ROOT / "examples/node",)


def main(arguments: Sequence[str]) -> int:
    """Find or fetch the programs of RabbitMQ and PostgreSQL, or the tools; return the exit code."""
    if "--tools" in arguments:
        return _tools()
    try:
        postgresql()
        rabbitmq()
    except MissingPrograms as failure:
        say(str(failure))
        # Somebody with a broker of their own can do without the programs; the tests will say so if they are run.
        return 0 if os.environ.get("STREAMS_AMQP_URL") else 1
    return 0


def _tools() -> int:
    try:
        for folder in _PACKAGES:
            packages(folder)
        shell_programs()
    except MissingPrograms as failure:
        say(str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
