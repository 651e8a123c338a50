"""`python -m devtools.setup`: have the servers' programs ready. Quick and silent the second time."""

import os
import sys

from devtools.failures import MissingPrograms
from devtools.postgresql import postgresql
from devtools.project import say
from devtools.rabbitmq import rabbitmq


def main() -> int:
    """Find or fetch the programs of RabbitMQ and PostgreSQL; return the exit code."""
    try:
        postgresql()
        rabbitmq()
    except MissingPrograms as failure:
        say(str(failure))
        # Somebody with a broker of their own can do without the programs; the tests will say so if they are run.
        return 0 if os.environ.get("STREAMS_AMQP_URL") else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
