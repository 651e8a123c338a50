"""A device with pika alone: it starts its stream and ends it.

python device.py cam-1 [message-id]
"""

import json
import logging
import os
import signal
import sys
import time
import uuid
from types import FrameType
from typing import Any

import pika
from pika.exceptions import AMQPError

BROKER = pika.URLParameters(os.environ.get("STREAMS_AMQP_URL", "amqp://guest:guest@localhost:5672/"))
TRY_S, GIVE_UP_S, PAUSE_S = 5, 15, 1
Body = dict[str, Any]


def ask(command: str, body: Body, *, device_id: str, message_id: str) -> Body:
    """Ask until there is an answer. Each time with the same message id: the command takes effect once."""
    deadline_s = time.monotonic() + GIVE_UP_S
    while True:
        signal.alarm(TRY_S)  # one for all of a try: pika would wait for the broker's confirm for ever
        try:
            return ask_once(command, body, device_id, message_id)
        except (AMQPError, OSError):
            if time.monotonic() + PAUSE_S > deadline_s:
                raise
        finally:
            signal.alarm(0)
        time.sleep(PAUSE_S)


def ask_once(command: str, body: Body, device_id: str, message_id: str) -> Body:
    answers: list[tuple[str, Body]] = []
    connection = pika.BlockingConnection(BROKER)
    try:
        channel = connection.channel()
        channel.confirm_delivery()  # from here on publishing waits until the broker has the message safe
        # Direct reply-to: no queue to make or to clean up. Listen first, on the channel that will publish.
        channel.basic_consume(
            "amq.rabbitmq.reply-to",
            lambda _channel, _method, properties, text: answers.append((properties.type, json.loads(text))),
            auto_ack=True,
        )
        channel.basic_publish(
            "streams.commands",
            device_id,  # the routing key: partitions and permissions go by it
            json.dumps(body).encode(),
            pika.BasicProperties(
                type=command,
                message_id=message_id,
                user_id=BROKER.credentials.username,  # the broker checks it; the worker may ask for it
                reply_to="amq.rabbitmq.reply-to",
                content_type="application/json",
                delivery_mode=pika.DeliveryMode.Persistent.value,
            ),
            mandatory=True,  # an error where no queue takes it, in place of silence
        )
        while not answers:
            connection.process_data_events(time_limit=None)
    finally:
        signal.alarm(PAUSE_S)  # the broker may not answer a goodbye either
        if connection.is_open:
            connection.close()
    kind, answer = answers[0]
    if kind == "stream.problem":
        sys.exit(f"{answer['code']}: {answer['detail']}")  # the exit code is 1
    print(answer["outcome"], answer["stream"]["device_id"], answer["stream"]["code"])
    return answer


def too_late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"no reply within {TRY_S} s; is a worker running?")


def main() -> None:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs what it raises, too
    signal.signal(signal.SIGALRM, too_late)
    device_id, *given = sys.argv[1:]
    # A device that may crash writes its message id down before it asks, and asks with it again.
    message_id = given[0] if given else str(uuid.uuid4())
    try:
        created = ask("stream.create", {"device_id": device_id}, device_id=device_id, message_id=message_id)
        stop = {"code": created["stream"]["code"]}
        ask("stream.stop", stop, device_id=device_id, message_id=str(uuid.uuid4()))
    except (AMQPError, OSError) as error:
        print(f"no answer: {error!r}; run it again with the message id {message_id}", file=sys.stderr)
        sys.exit(os.EX_TEMPFAIL)


main()
