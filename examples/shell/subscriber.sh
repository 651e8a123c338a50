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

# What amqp-consume starts for each event, which is on stdin. If it fails, the event is not acknowledged, and comes
# again the next time; amqp-consume would go on with the events behind it.
if [ -n "${STREAM_EVENTS:-}" ]; then
  trap '[ $? -eq 0 ] || kill "$PPID"' EXIT
  jq -r '"\(.id) \(.sequence) \(.type) \(.data.stream.device_id) \(.data.stream.code)"' | {
    read -r id sequence type device_id code
    seen=$STREAM_EVENTS/$device_id
    ! grep -qs " $id\$" "$seen" || exit 0 # a repeat: events come at least once
    highest=$(sort -n "$seen" 2>/dev/null | tail -n 1)
    before=${highest%% *}
    before=${before:-$((sequence - 1))}
    [ "$sequence" -le $((before + 1)) ] || echo "missed $((sequence - before - 1)) of $device_id"
    echo "$sequence $type $device_id $code" # here you make something of it
    echo "$sequence $id" >>"$seen"
  }
  exit
fi

# Each device's sequences and ids, a file a device; keep them where they survive.
STREAM_EVENTS=$(mktemp -d)
export STREAM_EVENTS
trap 'rm -rf "$STREAM_EVENTS"' EXIT
if [ $# -gt 0 ]; then
  set -- --queue "$1"
else
  set -- --exclusive --exchange streams.events --routing-key '#'
fi
# Without heartbeats a connection that is gone would never be noticed.
amqp-consume --url "$url" --heartbeat 30 --prefetch-count 50 "$@" sh "$0" &
trap 'kill $!' HUP INT TERM
wait $!
