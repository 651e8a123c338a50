"""How far a long errand has come, on standard error."""

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

_MANY: Final = 200
_EVERY: Final = 500


class Progress:
    """A bar on a terminal, counts elsewhere, nothing for what takes but a moment. Entered while it all runs."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._total = 0
        self._done = 0
        self._bar: ProgressBar[int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def begin(self, total: int) -> None:
        """Say how many there are."""
        self._total = total
        if total >= _MANY and sys.stderr.isatty():
            self._bar = click.progressbar(length=total, label=self._doing, file=sys.stderr)
            self._bar.render_progress()

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(1)
        elif self._total >= _MANY and self._done % _EVERY == 0 and self._done < self._total:
            click.echo(f"{self._doing}: {self._done} of {self._total}", err=True)
