"""`send`: act as a device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from worker.cli.failure import (
    EXIT_AWAY,
    EXIT_CONFIG,
    EXIT_NO_ANSWER_YET,
    EXIT_NOT_WELL,
    EXIT_UNREADABLE,
    Failure,
    read_settings,
)
from worker.cli.quiet import silence_libraries

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a command is sent, and its answer shown."""

    as_json: bool
    timeout_s: float
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as it is shown."""

    line: str
    json: str
    refused: bool


def _new_message_id() -> str:
    """Choose it here and not in the client: where no reply comes, it is what a person needs."""
    from uuid import uuid4

    return uuid4().hex


def _options(function: Function) -> Function:
    for option in (
        click.option(
            "--message-id",
            metavar="ID",
            default=_new_message_id,
            help="Repeat a command safely: the same id, the same answer.",
        ),
        click.option(
            "--timeout",
            "timeout_s",
            metavar="SECONDS",
            type=click.FloatRange(0.1, 3_600),
            default=10.0,
            show_default=True,
            help="How long to wait for the answer.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
    ):
        function = option(function)
    return function


def _selector(function: Function) -> Function:
    for option in (
        click.option("--code", metavar="CODE", help="The stream with this code."),
        click.option("--id", "stream_id", metavar="UUID", help="The stream with this id."),
        click.option("--device", "named", metavar="DEVICE", help="The device's active stream, else its latest."),
        click.argument("device", required=False),
    ):
        function = option(function)
    return function


@click.group()
def send() -> None:
    """Send a command as a device does.

    Exits with 1 where the command is refused, 69 where the broker is away, 75 where no reply comes in time.
    """


@send.command()
@click.argument("device")
@_options
def create(device: str, **how: Any) -> int:
    """Give DEVICE its active stream; make one if there is none."""
    return _send("stream.create", {"device_id": device}, How(**how))


@send.command()
@_selector
@_options
def stop(device: str | None, named: str | None, stream_id: str | None, code: str | None, **how: Any) -> int:
    """End a stream: of DEVICE, or by --id or --code."""
    return _send("stream.stop", _one_of(device, named, stream_id, code), How(**how))


@send.command()
@_selector
@_options
def get(device: str | None, named: str | None, stream_id: str | None, code: str | None, **how: Any) -> int:
    """Read a stream: of DEVICE, or by --id or --code."""
    return _send("stream.get", _one_of(device, named, stream_id, code), How(**how))


def _one_of(device: str | None, named: str | None, stream_id: str | None, code: str | None) -> dict[str, str]:
    ways = [("device_id", device), ("device_id", named), ("stream_id", stream_id), ("code", code)]
    given = [(member, text) for member, text in ways if text is not None]
    if len(given) != 1:
        raise click.UsageError("Give exactly one of DEVICE (or --device), --id and --code.")
    return dict(given)


def _send(command: str, body: dict[str, str], how: How) -> int:
    silence_libraries()
    answer = _ask(command, body, how)
    if how.as_json:
        click.echo(answer.json)
    else:
        click.echo(answer.line, err=answer.refused)
    return EXIT_NOT_WELL if answer.refused else 0


def _ask(command: str, body: dict[str, str], how: How) -> Answer:
    settings = read_settings()
    import asyncio

    from stream_client import StreamMisconfigured, StreamTimeout, StreamUnavailable, StreamUnreadable

    try:
        return asyncio.run(_request(settings.amqp_url.get_secret_value(), settings.namespace, command, body, how))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except StreamTimeout as error:
        raise Failure(EXIT_NO_ANSWER_YET, f"{error}; to repeat it safely: {_repeating(how.message_id)}") from error
    except StreamMisconfigured as error:
        raise Failure(EXIT_CONFIG, str(error)) from error
    except StreamUnavailable as error:
        raise Failure(EXIT_AWAY, str(error)) from error
    except StreamUnreadable as error:
        raise Failure(EXIT_UNREADABLE, str(error)) from error


def _repeating(message_id: str) -> str:
    from shlex import quote

    from worker.ops.cleaning import one_line

    return f"--message-id {one_line(quote(message_id))}"


async def _request(url: str, namespace: str, command: str, body: dict[str, str], how: How) -> Answer:
    from stream_client import StreamReply, StreamsClient
    from worker.ops.cleaning import one_line

    async with StreamsClient(url, namespace=namespace, timeout_s=how.timeout_s) as client:
        answer = await client.request(command, body, message_id=how.message_id)
    if isinstance(answer, StreamReply):
        stream = answer.stream
        line = one_line(f"{answer.outcome}  {stream.device_id}  {stream.code}  {stream.status}  {stream.id}")
        return Answer(line=line, json=answer.model_dump_json(), refused=False)
    reasons = [f"{answer.title}: {answer.detail}", *(f"{one.pointer}: {one.detail}" for one in answer.errors)]
    return Answer(line="\n".join(map(one_line, reasons)), json=answer.model_dump_json(), refused=True)
