"""`python -m devtools.run`: a broker, the worker in the foreground, and what to type in a second terminal.

The broker is the one that STREAMS_AMQP_URL names, else a private node in `var/broker`, which keeps its data and
its address from one run to the next.

The worker and the node are in sessions of their own: a Ctrl-C reaches this process only, and the order of the end
is ours. The worker is told and drains, then the node stops. A second Ctrl-C is passed on too; a third one kills.
"""

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from devtools.broker import PrivateBroker
from devtools.failures import ServerFailure
from devtools.ports import free_port, is_free
from devtools.process import Child
from devtools.project import ROOT, say
from devtools.readiness import is_ready
from devtools.signals import ForwardedSignals
from devtools.terminal import lines
from devtools.waiting import seen

_HTTP_PORT = 9464
# What a shell says of a program that a signal has ended.
_BY_SIGNAL = 128


def main(argv: Sequence[str] | None = None) -> int:
    """Run until the worker ends and return its exit code; 1 if there is no broker to be had."""
    parser = argparse.ArgumentParser(prog="python -m devtools.run", description="Run the worker with a broker.")
    parser.add_argument("--worker", type=Path, default=ROOT / ".venv/bin/stream-worker", help="the program")
    parser.add_argument("--folder", type=Path, default=ROOT / "var/broker", help="where the private node lives")
    options = parser.parse_args(argv)
    signals = ForwardedSignals()
    try:
        with ExitStack() as stack:
            private_url = (
                None if os.environ.get("STREAMS_AMQP_URL") else _private_node(stack, options.folder, signals)
            )
            code = _in_front_of(options.worker, private_url, signals)
            say("the worker has ended" + ("; stopping the private RabbitMQ node" if private_url else ""))
            return code
    except ServerFailure as failure:
        say(str(failure))
        return 1


def _private_node(stack: ExitStack, folder: Path, signals: ForwardedSignals) -> str:
    """Start a node that goes with `stack`, and return its URL."""
    say(f"starting a private RabbitMQ node in {folder}")
    broker = PrivateBroker(folder)
    stack.callback(broker.close)
    broker.start(cancelled=lambda: signals.have_come)
    return broker.url


def _in_front_of(worker: Path, private_url: str | None, signals: ForwardedSignals) -> int:
    """Run the worker, say when it is ready, and return its exit code as a shell would."""
    health = _health_setting(os.environ)
    environment = {**os.environ, "STREAMS_HTTP_PORT": health}
    if private_url is not None:
        environment["STREAMS_AMQP_URL"] = private_url
    with Child([str(worker), "run"], env=environment, cwd=ROOT) as child:
        signals.pass_on_to(child)
        if _became_ready(child, health, signals):
            print("", *lines(worker, os.environ, private_url), "", sep="\n", flush=True)
        code = child.wait() or 0
    return code if code >= 0 else _BY_SIGNAL - code


def _health_setting(given: Mapping[str, str]) -> str:
    """Return the given STREAMS_HTTP_PORT, right or wrong, else the default, else a free one."""
    if chosen := given.get("STREAMS_HTTP_PORT"):
        return chosen
    if is_free(_HTTP_PORT):
        return str(_HTTP_PORT)
    port = str(free_port())
    say(f"port {_HTTP_PORT} is taken: this worker's health is on port {port} (STREAMS_HTTP_PORT={port})")
    return port


def _became_ready(child: Child, health: str, signals: ForwardedSignals) -> bool:
    """Wait until the worker is ready, for as long as the person at the terminal does; tell whether it is."""
    port = int(health) if health.isdecimal() else None  # the worker will say what is wrong with it
    if port == 0:
        say("the worker's health port is off (STREAMS_HTTP_PORT=0): not waiting until it is ready")
        return True

    def is_decided() -> bool:
        return signals.have_come or not child.is_running or (port is not None and is_ready(port))

    return seen(is_decided, within_s=math.inf) and child.is_running and not signals.have_come


if __name__ == "__main__":
    sys.exit(main())
