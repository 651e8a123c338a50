"""`dead`: the messages that could not become a reply, and what to do with them."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from worker.cli import dead_lines
from worker.cli.dead_options import filters, wanted, which
from worker.cli.dead_work import Account, Run, printer, remark, reporter, run
from worker.cli.failure import EXIT_NOT_WELL

if TYPE_CHECKING:
    from worker.amqp.letter import Letter
    from worker.amqp.wanted import Wanted
    from worker.bootstrap.dead import Found

Function = TypeVar("Function", bound=Callable[..., Any])


def _acting(function: Function) -> Function:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each letter."),
        click.option("--yes", is_flag=True, help="Do not ask."),
        click.option("--dry-run", is_flag=True, help="Only list the dead letters that match."),
        click.option("--limit", type=click.IntRange(1), metavar="COUNT", help="So many at most; else all."),
    ):
        function = option(function)
    return function


@click.group()
def dead() -> None:
    """List, read, replay or discard dead letters.

    A letter is shown with its reason: the worker's own (as malformed, internal, undecodable), or the broker's
    (delivery_limit, expired, rejected, maxlen). Looking costs no letter, but while somebody looks, nobody else
    sees what they hold. At most 32,768 letters are passed over in one run.
    """


@dead.command(name="list")
@filters
@click.option(
    "--limit",
    type=click.IntRange(1, 32_768),
    metavar="COUNT",
    default=100,
    show_default=True,
    help="So many at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each letter.")
def list_(*, limit: int, as_json: bool, **given: Any) -> int:
    """Print a line for each letter, the oldest first."""
    account, found = _list(_look(), wanted(**given), limit=limit, as_json=as_json)
    if account.count == limit and found.looked < found.ready:
        click.echo(
            f"That is within the oldest {found.looked} of {found.ready} letters; --limit shows more.", err=True
        )
    return 0


@dead.command()
@click.argument("which_one", metavar="NUMBER|ID")
@click.option(
    "--full", is_flag=True, help=f"Print the whole body, not its first {dead_lines.BODY_BYTES_MAX} bytes."
)
@click.option("--raw", is_flag=True, help="Print nothing but the body, byte for byte.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, which_one: str, full: bool, raw: bool, as_json: bool) -> int:
    """Print a letter with all that is in it.

    Named by its number in `list`, or by its message id: the oldest that has it. Exits with 1 if there is none.
    """
    now = datetime.now(UTC)

    def print_it(letter: "Letter", _: object) -> None:
        if raw:
            click.echo(letter.delivery.body, nl=False)
        elif as_json:
            click.echo(json.dumps(dead_lines.everything(letter, now, full=full)))
        else:
            click.echo(dead_lines.page(letter, now, full=full))

    account = Account()
    found = run(_look(), which(which_one), limit=1, doing="looking", show=print_it, account=account)
    remark(found, account, limit=1)
    return 0 if account.count else EXIT_NOT_WELL


@dead.command()
@filters
@_acting
@click.option("--without-reply-to", is_flag=True, help="Ask for no reply, where its address is not allowed.")
def replay(
    *, limit: int | None, dry_run: bool, yes: bool, as_json: bool, without_reply_to: bool, **given: Any
) -> int:
    """Send the commands of letters once more, and remove the letters.

    Each is sent as it came, with its message id and its sender, so one that had been carried out is not carried
    out again. To send in another's name the broker user needs the tag impersonator. No expiration is restored, and
    no direct reply-to: who asked by that does not wait any more. A command without a timestamp gets the moment of
    its death. A letter is removed once its command is confirmed, and stays where its command is older than
    STREAMS_HANDLED_RETENTION_S: a worker would refuse it as expired. Exits with 1 if a letter stayed.
    """
    meant = wanted(**given)
    from worker.bootstrap.dead import rehearse
    from worker.bootstrap.dead import replay as replay_errand

    errand = rehearse if dry_run else partial(replay_errand, with_reply_to=not without_reply_to)
    account = _act("replay", errand, meant, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json)
    if account.reply_to_not_allowed and not without_reply_to:
        click.echo(
            f"{account.reply_to_not_allowed} of them became letters because of their reply_to, and will again; "
            "--without-reply-to sends them without.",
            err=True,
        )
    if account.too_old:
        click.echo(
            f"{account.too_old} of them are older than STREAMS_HANDLED_RETENTION_S: a worker would refuse them as "
            "expired, for nobody knows whether they were carried out. Ask anew where that is wanted; "
            "`dead discard` removes them.",
            err=True,
        )
    return EXIT_NOT_WELL if account.stayed and not dry_run else 0


@dead.command()
@filters
@_acting
def discard(*, limit: int | None, dry_run: bool, yes: bool, as_json: bool, **given: Any) -> int:
    """Remove letters for good."""
    meant = wanted(**given)
    from worker.bootstrap.dead import discard as discard_errand

    errand = _look() if dry_run else discard_errand
    _act("discard", errand, meant, limit=limit, dry_run=dry_run, yes=yes, as_json=as_json)
    return 0


def _look() -> Run:
    from worker.bootstrap.dead import look

    return look


def _list(errand: Run, meant: "Wanted", *, limit: int | None, as_json: bool) -> tuple[Account, "Found"]:
    account = Account()
    found = run(errand, meant, limit=limit, doing="looking", show=printer(as_json=as_json), account=account)
    remark(found, account, limit=limit)
    return account, found


def _act(
    verb: str, errand: Run, meant: "Wanted", *, limit: int | None, dry_run: bool, yes: bool, as_json: bool
) -> Account:
    if dry_run:
        account, found = _list(errand, meant, limit=limit, as_json=as_json)
        going = account.count - account.stayed
        click.echo(f"{going} of {found.ready} letters would be {verb}ed; nothing was changed.", err=True)
        return account
    if not yes and not (limit := _agreed(verb, meant, limit)):
        return Account()
    account = Account()
    try:
        found = run(errand, meant, limit=limit, doing=verb, show=reporter(as_json=as_json), account=account)
        remark(found, account, limit=limit)
    finally:
        if account.fates:
            click.echo(str(account), err=as_json)
    return account


def _agreed(verb: str, meant: "Wanted", limit: int | None) -> int:
    """Ask on a terminal; return how many letters may go."""
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal there is nobody to ask: give --yes, or --dry-run.")
    account = Account()
    found = run(_look(), meant, limit=limit, doing="looking", show=lambda *_: None, account=account)
    remark(found, account, limit=limit)
    if account.count and click.confirm(f"{verb} {account.count} letters?", err=True):
        return account.count
    click.echo("Nothing was done.", err=True)
    return 0
