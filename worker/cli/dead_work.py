"""Running an errand among the dead letters, and saying what came of it."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click
from typing_extensions import override

from worker.cli import dead_lines
from worker.cli.failure import EXIT_AWAY, EXIT_CONFIG, EXIT_NOT_WELL, Failure, read_settings
from worker.cli.progress import Progress
from worker.cli.quiet import silence_libraries

if TYPE_CHECKING:
    from worker.amqp.letter import Letter
    from worker.amqp.replaying import Fate
    from worker.amqp.wanted import Wanted
    from worker.bootstrap.dead import Errand, Found
    from worker.config import Settings

Run = Callable[["Settings", "Errand"], Awaitable["Found"]]

STAYED_SHOWN_MAX: Final = 20


@dataclass(slots=True, kw_only=True)
class Account:
    """What became of how many letters."""

    count: int = 0
    fates: "Counter[Fate]" = field(default_factory=Counter)
    reply_to_not_allowed: int = 0

    @property
    def stayed(self) -> int:
        """How many were to go and did not."""
        from worker.amqp.replaying import Fate

        return sum(self.fates.values()) - self.fates[Fate.REPLAYED] - self.fates[Fate.DISCARDED]

    def add(self, letter: "Letter", fate: "Fate | None") -> None:
        """Count one."""
        self.count += 1
        self.reply_to_not_allowed += letter.reason == "reply_to_not_allowed"
        if fate is not None:
            self.fates[fate] += 1

    @property
    def too_old(self) -> int:
        """How many a worker would refuse as expired."""
        from worker.amqp.replaying import Fate

        return self.fates[Fate.TOO_OLD]

    @override
    def __str__(self) -> str:
        return ", ".join(f"{fate} {self.fates[fate]}" for fate in sorted(self.fates))


Show = Callable[["Letter", "Fate | None"], None]


def run(run: Run, wanted: "Wanted", *, limit: int | None, doing: str, show: Show, account: Account) -> "Found":
    """Run an errand, with its progress. Raises Failure; `account` holds what was done until then."""
    settings = read_settings()
    import asyncio

    from worker.amqp.replaying import ReplayRefused
    from worker.amqp.topology import TopologyWrong
    from worker.bootstrap import BrokerUnavailable
    from worker.bootstrap.dead import Errand
    from worker.ops.cleaning import one_line

    def told(letter: "Letter", fate: "Fate | None") -> None:
        account.add(letter, fate)
        show(letter, fate)

    silence_libraries()
    with Progress(doing) as progress:
        errand = Errand(wanted=wanted, limit=limit, begun=progress.begin, looked=progress.step, told=told)
        try:
            return asyncio.run(_awaited(run(settings, errand)))
        except BrokerUnavailable as away:
            where = f"the broker {settings.amqp_shown} of STREAMS_AMQP_URL cannot be used"
            raise Failure(EXIT_AWAY, one_line(f"{where}: {away}")) from away
        except TopologyWrong as wrong:
            raise Failure(EXIT_CONFIG, one_line(str(wrong))) from wrong
        except ReplayRefused as refused:
            raise Failure(EXIT_NOT_WELL, one_line(str(refused))) from refused


async def _awaited(errand: "Awaitable[Found]") -> "Found":
    return await errand


def remark(found: "Found", account: Account, *, limit: int | None) -> None:
    """Say on standard error what the letters themselves do not."""
    if found.ready == 0:
        click.echo("There are no dead letters.", err=True)
    elif account.count == 0 and found.looked == found.ready:
        click.echo(f"None of the {found.ready} dead letters matches.", err=True)
    elif found.looked < found.ready and (limit is None or account.count < limit):
        click.echo(
            f"Only the oldest {found.looked} of {found.ready} letters were looked at: more are not held at once, "
            "or somebody else has the rest.",
            err=True,
        )
    if found.others:
        click.echo("Somebody else is looking too; what they hold is not seen here.", err=True)


def printer(*, as_json: bool) -> Show:
    """Return what prints each letter that was looked at: a row under a heading, or a line of JSON. One that would
    stay has no part in the table, and its outcome in JSON.
    """
    now = datetime.now(UTC)
    headed = False

    def show(letter: "Letter", fate: "Fate | None") -> None:
        nonlocal headed
        if as_json:
            outcome = {} if fate is None else {"outcome": fate}
            click.echo(json.dumps(dead_lines.members(letter, now) | outcome))
            return
        if fate is not None:
            click.echo(f"{fate}: {dead_lines.row(letter, now).strip()}", err=True)
            return
        if not headed:
            click.echo(dead_lines.HEADING)
            headed = True
        click.echo(dead_lines.row(letter, now))

    return show


def reporter(*, as_json: bool) -> Show:
    """Return what prints what became of each letter: a line of JSON; else only the first few that stayed."""
    from worker.amqp.replaying import Fate

    now = datetime.now(UTC)
    left_to_show = STAYED_SHOWN_MAX

    def show(letter: "Letter", fate: "Fate | None") -> None:
        nonlocal left_to_show
        if as_json:
            click.echo(json.dumps(dead_lines.members(letter, now) | {"outcome": fate}))
        elif fate not in {Fate.REPLAYED, Fate.DISCARDED} and left_to_show:
            left_to_show -= 1
            click.echo(f"{fate}: {dead_lines.row(letter, now).strip()}", err=True)

    return show
