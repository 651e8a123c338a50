"""Which dead letters a command is about, as somebody says it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from typing_extensions import override

if TYPE_CHECKING:
    from worker.amqp.wanted import Wanted

Function = TypeVar("Function", bound=Callable[..., Any])

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AGE: Final = re.compile(r"([0-9]{1,9})([smhd])")


class Age(click.ParamType[float]):
    """A length of time: 30s, 5m, 2h, 7d."""

    name = "age"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _AGE.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is not an age. Say 30s, 5m, 2h or 7d.", param, ctx)
        return float(int(found[1]) * _SECONDS[found[2]])


def filters(function: Function) -> Function:
    """Give a command the options that say which letters. All that are given must apply."""
    for option in (
        click.option("--newer-than", "newer_than_s", type=Age(), help="Died less than so long ago."),
        click.option(
            "--older-than", "older_than_s", type=Age(), help="Died at least so long ago: 30s, 5m, 2h, 7d."
        ),
        click.option("--device", "devices", metavar="DEVICE", multiple=True, help="With this routing key."),
        click.option("--id", "message_ids", metavar="ID", multiple=True, help="With this message id."),
        click.option("--type", "types", metavar="TYPE", multiple=True, help="Of this type, as stream.create."),
        click.option(
            "--reason",
            "reasons",
            metavar="REASON",
            multiple=True,
            help="With this reason, as malformed or expired.",
        ),
    ):
        function = option(function)
    return function


def wanted(
    *,
    reasons: tuple[str, ...] = (),
    types: tuple[str, ...] = (),
    message_ids: tuple[str, ...] = (),
    devices: tuple[str, ...] = (),
    older_than_s: float | None = None,
    newer_than_s: float | None = None,
) -> "Wanted":
    """Return what the options of `filters` say."""
    from worker.amqp.wanted import Wanted

    return Wanted(
        reasons=frozenset(reasons),
        types=frozenset(types),
        message_ids=frozenset(message_ids),
        routing_keys=frozenset(devices),
        older_than_s=older_than_s,
        newer_than_s=newer_than_s,
    )


def which(text: str) -> "Wanted":
    """Return the letter that is meant by a number of `list`, or by a message id."""
    from worker.amqp.wanted import Wanted

    if text.isascii() and text.isdigit() and len(text) < 10:  # noqa: PLR2004 - a number that long is an id
        return Wanted(number=int(text))
    return Wanted(message_ids=frozenset({text}))
