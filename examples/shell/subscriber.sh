#!/bin/sh
# A subscriber: it prints what happens to streams. Needs amqp-tools and jq.
#
# sh subscriber.sh [queue]
#
# amqp-consume binds no durable queue. Without an argument it makes one that ends with it: what happens while nobody
# listens is missed. With one it takes a durable queue that is there and bound: each of the other subscribers makes one.
set -eu

url=${STREAMS_AMQP_URL:-amqp://guest:guest@localhost:5672/}
url=${url%/} # with a slash at the end amqp-tools ask for a virtual host without a name

# What amqp-consume starts for each event, which is on stdin. If it fails, or dies, the event is not acknowledged.
if [ -n "${STREAM_SEQUENCES:-}" ]; then
  jq -r '"\(.sequence) \(.type) \(.data.stream.device_id) \(.data.stream.code)"' | {
    read -r sequence type device_id code
    seen=$STREAM_SEQUENCES/$device_id
    before=$(cat "$seen" 2>/dev/null || echo $((sequence - 1)))
    [ "$sequence" -gt "$before" ] || exit 0 # a repeat: events come at least once, the first time in order
    [ "$sequence" -eq $((before + 1)) ] || echo "missed $((sequence - before - 1)) of $device_id"
    echo "$sequence $type $device_id $code"
    echo "$sequence" >"$seen"
  }
  exit
fi

# Each device's last sequence, a file a device; keep them where they survive.
STREAM_SEQUENCES=$(mktemp -d)
export STREAM_SEQUENCES
if [ $# -gt 0 ]; then
  set -- --queue "$1"
else
  set -- --exclusive --exchange streams.events --routing-key '#'
fi
# Without heartbeats a connection that is gone would never be noticed.
exec amqp-consume --url "$url" --heartbeat 30 --prefetch-count 50 "$@" sh "$0"
