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
IDS_MAX = 50_000

# Of the latest events, and of each device. Keep them with what you make of the events, to survive.
ids: dict[str, None] = {}
highest: dict[str, int] = {}


def subscriber(queue: str) -> None:
    channel = pika.BlockingConnection(BROKER).channel()
    channel.queue_declare(queue, durable=True, arguments=DURABLE)  # keeps what happens while nobody listens
    channel.queue_bind(queue, "streams.events", "#")  # stream.created.# or stream.*.cam-1 would do, too
    channel.basic_qos(prefetch_count=PREFETCH)
    for method, _, text in channel.consume(queue):
        event = json.loads(text)
        if event["id"] not in ids:  # else it is a repeat: events come at least once
            handle(event["type"], int(event["sequence"]), event["data"]["stream"])
            ids[event["id"]] = None
            if len(ids) > IDS_MAX:
                del ids[next(iter(ids))]  # the oldest
        channel.basic_ack(method.delivery_tag)  # only now: if we die before, it comes again


def handle(kind: str, sequence: int, stream: dict[str, str]) -> None:
    device_id = stream["device_id"]
    before = highest.get(device_id, sequence - 1)
    if sequence > before + 1:
        print(f"missed {sequence - before - 1} of {device_id}", flush=True)
    print(sequence, kind, device_id, stream["code"], flush=True)  # here you make something of it
    highest[device_id] = max(sequence, before)


subscriber(sys.argv[1] if len(sys.argv) > 1 else "example-pika")
sys.exit("the queue was deleted")
