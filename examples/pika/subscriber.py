"""A subscriber with pika alone: it prints what happens to streams.

python subscriber.py [queue]
"""

import json
import os
import sys

import pika

BROKER = pika.URLParameters(os.environ.get("STREAMS_AMQP_URL", "amqp://guest:guest@localhost:5672/"))
# Beyond the limit the broker would drop an event, and from RabbitMQ 4 on a lost connection counts.
DURABLE = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}
PREFETCH = 50


def subscriber(queue: str) -> None:
    last: dict[str, int] = {}  # each device's last sequence; keep it with what you make of the events, to survive
    channel = pika.BlockingConnection(BROKER).channel()
    channel.queue_declare(queue, durable=True, arguments=DURABLE)  # keeps what happens while nobody listens
    channel.queue_bind(queue, "streams.events", "#")  # stream.created.# or stream.*.cam-1 would do, too
    channel.basic_qos(prefetch_count=PREFETCH)
    for method, _, text in channel.consume(queue):
        event = json.loads(text)
        stream, sequence = event["data"]["stream"], int(event["sequence"])
        before = last.get(stream["device_id"], sequence - 1)
        if sequence > before:  # else it is a repeat: events come at least once, the first time in order
            if sequence > before + 1:
                print(f"missed {sequence - before - 1} of {stream['device_id']}", flush=True)
            print(sequence, event["type"], stream["device_id"], stream["code"], flush=True)
            last[stream["device_id"]] = sequence
        channel.basic_ack(method.delivery_tag)  # only now: if we die before, it comes again


subscriber(sys.argv[1] if len(sys.argv) > 1 else "example-pika")
sys.exit("the queue was deleted")
