"""The worker, counting the statements of each transaction into the file that COUNTED names: never measured."""

import os
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from worker import bootstrap
from worker.config import load_settings

_BEGINNING = "BEGIN"  # a statement on SQLite, where the worker sends it itself, and none on PostgreSQL


def main() -> int:
    """Run the worker and return its exit code."""
    count = 0
    counted = Path(os.environ.pop("COUNTED"))

    @event.listens_for(Engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal count
        count += not statement.startswith(_BEGINNING)

    @event.listens_for(Engine, "begin")
    def begin(_connection: Any) -> None:
        """Forget the statements that were sent without a transaction: those of commands that came alone."""
        nonlocal count
        count = 0

    @event.listens_for(Engine, "commit")
    def write(_connection: Any) -> None:
        nonlocal count
        with counted.open("a", encoding="utf-8") as file:
            file.write(f"{count}\n")
        count = 0

    return bootstrap.run(load_settings(os.environ))


if __name__ == "__main__":
    sys.exit(main())
