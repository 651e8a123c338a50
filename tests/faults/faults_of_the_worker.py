"""What can happen to a worker: killed at each point of a batch's life, frozen, asked to stop, told a wrong time.

There is no trial of an upgrade, with a worker of the last release beside one of this: the schema has changed in
between, and a worker refuses a database that is not at its own.
"""

from collections.abc import Sequence
from typing import Final

from tests.faults import clocks_of_the_worker, deaths_of_the_worker, stops_of_the_worker
from tests.faults.trial import Fault

FAULTS: Final[Sequence[Fault]] = [
    *deaths_of_the_worker.FAULTS,
    *stops_of_the_worker.FAULTS,
    *clocks_of_the_worker.FAULTS,
]
