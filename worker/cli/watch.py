"""`watch`: act as a subscriber."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from worker.cli.failure import EXIT_AWAY, EXIT_CONFIG, Failure, read_settings
from worker.domain.events import EventType

if TYPE_CHECKING:
    from stream_client import EventSubscriber, Gap, ReplayFrom


@click.command()
@click.option(
    "--device", "devices", metavar="DEVICE", multiple=True, help="Only this device's events; or several."
)
@click.option(
    "--type",
    "types",
    type=click.Choice([str(one) for one in EventType]),
    multiple=True,
    help="Only events of this type.",
)
@click.option("--queue", metavar="NAME", help="A durable queue, which keeps events for the next time; it stays.")
@click.option(
    "--replay-from",
    metavar="first|TIME|OFFSET",
    help="Begin in the history that the broker keeps with STREAMS_EVENT_LOG=on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON (CloudEvents).")
def watch(
    *, devices: tuple[str, ...], types: tuple[str, ...], queue: str | None, replay_from: str | None, as_json: bool
) -> int:
    """Print events as they come, until Ctrl-C."""
    settings = read_settings()
    import asyncio

    from stream_client import EventSubscriber, StreamMisconfigured, StreamUnavailable
    from worker.ops.logs import configure_logs

    try:
        subscriber = EventSubscriber(
            settings.amqp_url.get_secret_value(),
            on_gap=None if types else _tell_gap,
            queue=queue,
            devices=devices,
            types=types,
            replay_from=_read_replay_from(replay_from),
            namespace=settings.namespace,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    configure_logs("INFO", "console")  # a connection that is lost and found again is news to whoever watches
    try:
        asyncio.run(_watch(subscriber, of=", ".join(devices) or "every device", as_json=as_json))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0  # the one way to end it
    except StreamMisconfigured as error:
        raise Failure(EXIT_CONFIG, str(error)) from error
    except StreamUnavailable as error:
        raise Failure(EXIT_AWAY, str(error)) from error
    return 0


def _read_replay_from(text: str | None) -> "ReplayFrom | None":
    """Raises ValueError where it is none of the three."""
    if text is None:
        return None
    if text == "first":
        return "first"
    return int(text) if text.isdecimal() else datetime.fromisoformat(text)


async def _watch(subscriber: "EventSubscriber", *, of: str, as_json: bool) -> None:
    _end_on_sigterm()
    async with subscriber as events:
        click.echo(f"watching events of {of} (Ctrl-C ends)", err=True)
        async for event in events:
            stream = event.stream
            when = f"{event.time:%Y-%m-%dT%H:%M:%S.%fZ}"
            line = f"{when}  {event.type}  {stream.device_id}  {stream.code}  #{event.sequence}"
            click.echo(event.model_dump_json() if as_json else line)


def _tell_gap(gap: "Gap") -> None:
    which = f"#{gap.first}" if gap.first == gap.last else f"#{gap.first} to #{gap.last}"
    click.echo(f"missed: {which} of {gap.device_id}", err=True)


def _end_on_sigterm() -> None:
    import asyncio
    import signal

    watching = asyncio.current_task()
    if watching is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, watching.cancel)
