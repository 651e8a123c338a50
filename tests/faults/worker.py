"""A worker with a failpoint in it or with a clock that is wrong, each where it is asked for:
`FAILPOINT=name:action:nth CLOCK_OFF_S=seconds python -m tests.faults.worker`.
"""

import os
from datetime import UTC, datetime, timedelta

from tests.faults.around import Around
from tests.faults.failpoints import Failpoint
from worker import bootstrap
from worker.bootstrap.pipelines import as_they_are
from worker.config import load_settings


def main() -> int:
    failpoint, off = os.environ.get("FAILPOINT"), timedelta(seconds=float(os.environ.get("CLOCK_OFF_S", "0")))
    around = Around(Failpoint.parse(failpoint)) if failpoint else as_they_are
    return bootstrap.run(load_settings(), around, clock=lambda: datetime.now(UTC) + off)


if __name__ == "__main__":
    raise SystemExit(main())
