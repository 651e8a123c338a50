"""`python -m devtools.setup`: have the servers' programs ready; with `--tools`, what checks the contract,
makes its page and runs the examples, and with `--browser`, the browser that looks at it.

Quick and silent the second time.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from devtools.chromium import chromium
from devtools.contract.tools import PACKAGES
from devtools.failures import MissingPrograms
from devtools.nodejs import packages
from devtools.postgresql import postgresql
from devtools.project import ROOT, say
from devtools.rabbitmq import rabbitmq
from devtools.shell import shell_programs

_EXAMPLES: Final = ROOT / "examples/node"


def main(arguments: Sequence[str]) -> int:
    """Find or fetch the programs of RabbitMQ and PostgreSQL, or what the arguments name; return the exit code."""
    if not arguments:
        # Somebody with a broker of their own can do without: the tests will say so if they are run.
        return 0 if _have(postgresql, rabbitmq) or os.environ.get("STREAMS_AMQP_URL") else 1
    return 0 if all(_have(_MORE[name]) for name in arguments) else 1


_MORE: Final[Mapping[str, Callable[[], object]]] = {
    "--tools": lambda: (packages(PACKAGES), packages(_EXAMPLES), shell_programs()),
    "--browser": chromium,
}


def _have(*programs: Callable[[], object]) -> bool:
    try:
        for find in programs:
            find()
    except MissingPrograms as failure:
        say(str(failure))
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
