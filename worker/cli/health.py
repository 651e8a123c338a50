"""`health`: what the container's health check asks."""

import json
from typing import Any, Final

import click

from worker.cli.failure import EXIT_CONFIG, EXIT_NOT_WELL, Failure, read_settings

_TIMEOUT_S: Final = 5.0  # each check of the worker has 2 s, all at the same time
_ANSWER_BYTES_MAX: Final = 65_536
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listened on there, asked for here


@click.command()
@click.option("--live", is_flag=True, help="Ask only whether the process is alive, not whether it is ready.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def health(*, live: bool, as_json: bool) -> int:
    """Ask the worker on this machine how it is.

    Exits with 0 if it is well, else with 1, and names each check. It asks the port of STREAMS_HTTP_PORT.
    """
    settings = read_settings()
    if settings.http_port == 0:
        raise Failure(EXIT_CONFIG, "health is off: STREAMS_HTTP_PORT is 0")
    host = _EVERY_ADDRESS.get(settings.http_host, settings.http_host)
    answer = _ask(host, settings.http_port, "/livez" if live else "/readyz")
    click.echo(json.dumps(answer) if as_json else _for_people(answer))
    return 0 if answer["status"] == "ok" else EXIT_NOT_WELL


def _ask(host: str, port: int, path: str) -> dict[str, Any]:
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(host, port, timeout=_TIMEOUT_S)  # no proxy, whatever the environment says
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read(_ANSWER_BYTES_MAX))
    except OSError as error:
        return {"status": "unreachable", "detail": f"no answer from {host}:{port}: {error.strerror or error}"}
    except (HTTPException, ValueError):
        answer = None
    finally:
        connection.close()
    if not isinstance(answer, dict) or "status" not in answer:
        return {"status": "unreachable", "detail": f"{host}:{port} is not a stream-worker"}
    return answer


def _for_people(answer: dict[str, Any]) -> str:
    lines = [f"{answer['status']}: {answer['detail']}" if "detail" in answer else str(answer["status"])]
    for name, result in answer.get("checks", {}).items():
        lines.append(f"  {name}: {'ok' if result['ok'] else result['detail']}")
    return "\n".join(lines)
